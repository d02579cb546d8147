//! Finds who has to be written to, and tries what waits, for ever: mails to customers, and alerts that are to be mailed. A mail is made once for a notification: its row is unique,
//! whichever node makes it, and of several nodes one takes it. After a crash in the middle of a try it is tried again, with
//! the same Message-ID.

use super::{Letter, Mailer, Untaken, is_address};
use crate::domain::{
    OrderStatus, Timestamp,
    id::{MerchantId, NotificationId},
    mail::{MailCause, MailFacts, MailSettings, TRIES, filled},
};
use crate::server::{
    clock::Clock,
    store::{AlertMailJob, MailCandidate, MailJob, MailResult, Merchant, NewMail, Store, StoreError},
};
use futures::future::join_all;
use std::{collections::HashMap, time::Duration};
use tokio::sync::watch;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// After the start one looks back so far: what came just before the server ended may not have been looked at.
const LOOK_BACK: Duration = Duration::from_secs(2 * 24 * 3_600);
/// Messages become readable a little out of the order of their numbers, with several nodes more so; as far back one looks again.
const SETTLING: Duration = Duration::from_secs(60);
/// How often one looks again.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// Messages looked at in one statement.
const AT_A_TIME: u32 = 500;
/// Mails on their way at once.
const AT_ONCE: u32 = 4;
/// A try that takes longer was cut off with its process.
const LEASE: Duration = Duration::from_secs(180);

/// Looks after mails.
pub struct Worker {
    store: Store,
    clock: Clock,
    mailer: Mailer,
    labels: Box<dyn Fn(crate::domain::Gateway) -> String + Send + Sync>,
    /// Up to which message of a merchant everything was looked at once, and since when one need not look again.
    seen: HashMap<MerchantId, Seen>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    newest: Option<NotificationId>,
    from: Timestamp,
    again_at: Timestamp,
    /// When one looked last.
    looked_at: Timestamp,
}

impl Worker {
    /// A worker; `labels` gives the names of gateways for people.
    pub fn new(
        store: Store,
        clock: Clock,
        mailer: Mailer,
        labels: impl Fn(crate::domain::Gateway) -> String + Send + Sync + 'static,
    ) -> Self {
        Self { store, clock, mailer, labels: Box::new(labels), seen: HashMap::new() }
    }

    /// Works until it is told to end; a try that is under way then is made and noted, so that the next start does not make it again.
    pub async fn run(mut self, mut ending: watch::Receiver<bool>) {
        while !*ending.borrow() {
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                _ = ending.wait_for(|ended| *ended) => return,
            }
            if let Err(error) = self.step(&ending).await {
                tracing::warn!(%error, "mails could not be looked after; trying again");
            }
        }
    }

    async fn step(&mut self, ending: &watch::Receiver<bool>) -> Result<(), StoreError> {
        let settings = self.store.settings();
        for merchant in settings.merchants() {
            if let Some(mail) = merchant.mail.as_ref().filter(|mail| mail.switched_on().next().is_some()) {
                self.look(&merchant, mail).await?;
            }
        }
        loop {
            let is_ending = *ending.borrow();
            if is_ending || !(self.send_alerts().await? | self.send_some().await?) {
                return Ok(());
            }
        }
    }

    /// Makes the mails about a merchant's new messages.
    async fn look(&mut self, merchant: &Merchant, mail: &MailSettings) -> Result<(), StoreError> {
        let now = self.clock.now();
        let first = Seen { newest: None, from: now.minus(LOOK_BACK), again_at: now.plus(LOOK_AGAIN), looked_at: now };
        let mut seen = self.seen.get(&merchant.id).copied().unwrap_or(first);
        if seen.again_at <= now {
            // From the last look on, however long ago that was: a mail server may have kept this worker waiting.
            seen = Seen { newest: None, from: seen.looked_at.minus(SETTLING), again_at: now.plus(LOOK_AGAIN), looked_at: now };
        }
        seen.looked_at = now;
        let statuses: Vec<OrderStatus> = mail.switched_on().map(|template| template.status).collect();
        // Nothing is mailed about what came before it was switched on.
        let since = mail.switched_on().filter_map(|template| template.since).min().unwrap_or(now).max(seen.from);
        loop {
            let found = self.store.mail_candidates(merchant.id, since, seen.newest, &statuses, AT_A_TIME).await?;
            let Some(last) = found.last() else { break };
            let (newest, is_all) = (last.notification_id, found.len() < AT_A_TIME as usize);
            let mails: Vec<NewMail> = found.iter().filter_map(|candidate| self.mail_of(merchant, mail, candidate)).collect();
            if !mails.is_empty() {
                self.store.add_mails(mails).await?;
            }
            seen.newest = Some(newest);
            if is_all {
                break;
            }
        }
        self.seen.insert(merchant.id, seen);
        Ok(())
    }

    /// The mail about a message, where there is one.
    fn mail_of(&self, merchant: &Merchant, mail: &MailSettings, candidate: &MailCandidate) -> Option<NewMail> {
        let template = mail.switched_on().find(|template| template.status == candidate.status)?;
        let is_new = template.since.is_some_and(|since| candidate.received_at >= since);
        if !is_new || !candidate.changes || (candidate.test && !mail.tests) {
            return None;
        }
        let facts = MailFacts {
            order: candidate.reference.clone(),
            external: candidate.external.clone(),
            name: candidate.customer.clone(),
            email: candidate.email.clone(),
            amount: candidate.amount,
            status: candidate.status,
            gateway: (self.labels)(candidate.gateway),
            at: merchant.zone.local(candidate.received_at),
            merchant: merchant.name.clone(),
        };
        let content = filled(template, &facts);
        let cause = match candidate.email.trim() {
            "" => Some(MailCause::NoAddress),
            email if !is_address(email) => Some(MailCause::BadAddress),
            _ => None,
        };
        Some(NewMail {
            merchant_id: merchant.id,
            order_id: candidate.order_id,
            notification_id: candidate.notification_id,
            status: candidate.status,
            recipient: candidate.email.trim().to_owned(),
            sender: mail.sender.clone(),
            sender_name: if mail.sender_name.is_empty() { merchant.name.clone() } else { mail.sender_name.clone() },
            subject: content.subject,
            text: content.text,
            cause,
        })
    }

    /// Tries some mails; gives whether there may be more.
    async fn send_some(&self) -> Result<bool, StoreError> {
        let jobs = self.store.take_mails(AT_ONCE, LEASE).await?;
        let is_full = jobs.len() == AT_ONCE as usize;
        let results = join_all(jobs.iter().map(|job| self.send(job))).await;
        for (job, result) in jobs.iter().zip(results) {
            self.store.finish_mail(job.id, result).await?;
        }
        Ok(is_full)
    }

    /// Tries some alerts; gives whether there may be more.
    async fn send_alerts(&self) -> Result<bool, StoreError> {
        let jobs = self.store.take_alert_mails(AT_ONCE, LEASE).await?;
        let is_full = jobs.len() == AT_ONCE as usize;
        let send = async |job: &AlertMailJob| {
            let (id, to) = (format!("quittance-alert-{}", job.id), job.recipient.as_str());
            let letter = Letter { id: &id, to, from: "", from_name: "Quittance", subject: &job.subject, text: &job.text };
            self.try_it(&letter, job.attempt).await
        };
        let results = join_all(jobs.iter().map(send)).await;
        for (job, result) in jobs.iter().zip(results) {
            self.store.finish_alert_mail(job.id, result).await?;
        }
        Ok(is_full)
    }

    async fn send(&self, job: &MailJob) -> MailResult {
        let id = format!("quittance-{}", job.id);
        let letter = Letter {
            id: &id,
            to: &job.recipient,
            from: &job.sender,
            from_name: &job.sender_name,
            subject: &job.subject,
            text: &job.text,
        };
        self.try_it(&letter, job.attempt).await
    }

    async fn try_it(&self, letter: &Letter<'_>, attempt: u32) -> MailResult {
        match self.mailer.send(letter).await {
            Ok(()) => MailResult::Sent,
            Err(Untaken { cause, note }) => {
                tracing::info!(mail.id = letter.id, cause = cause.code(), attempt, "a mail was not taken");
                let next = TRIES.get(attempt.saturating_sub(1) as usize).filter(|_| cause.is_worth_another_try());
                match next {
                    Some(seconds) => {
                        MailResult::Later(self.clock.now().plus(Duration::from_secs(u64::from(*seconds))), cause, note)
                    }
                    None => MailResult::Failed(cause, note),
                }
            }
        }
    }
}
