//! What every engine does, call by call: each is handed on to the engine that the store runs on.
//!
//! Must not live here: what does more than that; it stands beside [`Store`].

use super::{
    Actor, AlertKind, AlertMailJob, AlertMailRow, AlertRow, AlertTopic, Alerts, AttemptRecord, Backlog, BulkOrder, BulkStep,
    Exchange, Finding, First, FormClaim, FoundByText, FoundDeliveries, FoundInbound, Horizon, Job, LaneDepth, Link,
    ListenerDraft, Look, MailCandidate, MailJob, MailResult, NewAlertMail, NewBulk, NewMail, NewMerchant, NewRefusal, NewResend,
    NewUser, NewVerifying, NewView, Note, Original, Recount, RefusedLately, Removed, ResendOutcome, RetentionCursor, Secret,
    Sending, SessionRecord, SessionView, StandingRow, Store, StoreError, StoredNotification, StoredRefusal, StoredVerifying,
    StoryEvent, StoryPart, StoryRows, StoryScope, UrlBooks, UrlDraft, UrlState, UserRecord, Verifying, WaitingLong, postgres,
};
use crate::domain::{
    Cause, Gateway, Money, OrderStatus, Role, Tags, Timestamp, Triggers, Zone,
    id::{
        BulkId, DeliveryId, ListenerId, MailId, MerchantId, NotificationId, OrderId, RefusalId, UrlId, UserId, VerifyingId,
        ViewId,
    },
    mail::MailSettings,
    order::KnownOrder,
    pages::{
        audit::{AuditFilter, AuditRow},
        bulk::{BulkCount, BulkRow, BulkStanding},
        dashboard::{Counts, HourCount, UrlActivity},
        deliveries::{Counted, DeliveryFilter},
        inbound::InboundFilter,
        listeners::{ReceivedRow, RefusalRow},
        mail::MailRow,
        orders::{AttemptRow, DeliveryView, NotificationView, OrderFilter, OrderRow},
        people::UserFilter,
        story::StoryTurn,
        views::{ListKind, SavedView},
    },
};
use bytes::Bytes;
use std::{collections::HashMap, time::Duration};

/// Forwards each method to the engine.
macro_rules! forward {
    ($($(#[$doc:meta])* pub async fn $name:ident(&self $(, $arg:ident: $type:ty)* $(,)?) -> $result:ty;)+) => {
        impl Store {$(
            $(#[$doc])*
            pub async fn $name(&self $(, $arg: $type)*) -> Result<$result, StoreError> {
                match self {
                    Self::Sqlite(engine) => engine.$name($($arg),*).await,
                    Self::Postgres(engine) => postgres::patiently(stringify!($name), engine.$name($($arg),*)).await,
                }
            }
        )+}
    };
}

/// The same for what somebody does, who is named last.
macro_rules! forward_acts {
    ($($(#[$doc:meta])* pub async fn $name:ident(&self $(, $arg:ident: $type:ty)*; actor) -> $result:ty;)+) => {
        impl Store {$(
            $(#[$doc])*
            pub async fn $name(&self $(, $arg: $type)*, actor: impl Into<Actor>) -> Result<$result, StoreError> {
                let actor = actor.into();
                match self {
                    Self::Sqlite(engine) => engine.$name($($arg,)* actor).await,
                    Self::Postgres(engine) => postgres::patiently(stringify!($name), engine.$name($($arg,)* actor)).await,
                }
            }
        )+}
    };
}

forward! {
    // The way of a payment.

    /// Keeps a refused message; old ones of the same listener make room.
    pub async fn refuse(&self, new: NewRefusal) -> RefusalId;
    /// Keeps a message that its gateway must be asked about; returns after the commit, with whether it was there already.
    pub async fn add_verifying(&self, new: NewVerifying) -> bool;
    /// When the next such message that nobody has taken is due.
    pub async fn verifying_due(&self) -> Option<Timestamp>;
    /// Takes messages that are due, so that nobody else asks about them until a moment: at most so many of a listener, none of
    /// some listeners, and at most so many in all.
    pub async fn take_verifying(
        &self, until: Timestamp, without: Vec<ListenerId>, of_each: u32, most: u32
    ) -> Vec<Verifying>;
    /// The answer was neither yes nor no: ask again then.
    pub async fn postpone_verifying(&self, id: VerifyingId, due_at: Timestamp, note: String) -> ();
    /// The gateway has said its word, and what was true is accepted: the message goes, and what was not is refused in the same
    /// commit. Where it came again since it was taken, it stays and is asked about again. `false` where it was not there.
    pub async fn settle_verifying(&self, taken: Verifying, refusal: Option<NewRefusal>) -> bool;
    /// Messages that were put off until after `latest`, or taken until after `until`, because a clock was ahead, come sooner; those that
    /// nobody was asked about yet, now.
    pub async fn pull_back_verifying(&self, now: Timestamp, latest: Timestamp, until: Timestamp) -> ();
    /// What waits at a listener, or one message of it, is asked about at once.
    pub async fn hurry_verifying(&self, listener_id: ListenerId, id: Option<VerifyingId>) -> ();
    pub async fn verifying(&self, merchant_id: MerchantId, id: VerifyingId) -> Option<StoredVerifying>;
    /// How messages that came before a moment wait, by listener.
    pub async fn waiting_long(&self, merchants: &[MerchantId], before: Timestamp) -> Vec<WaitingLong>;
    /// Stores finished attempts and what they make of their deliveries; returns after the commit.
    pub async fn record(&self, attempts: Vec<AttemptRecord>) -> ();
    /// Returns when everything that was accepted or recorded before can be read. An engine may answer a gateway as soon
    /// as its message is safe, a moment before lists show it.
    pub async fn settled(&self) -> ();
    /// Makes new deliveries of old notifications.
    pub async fn resend(&self, merchant_id: MerchantId, new: NewResend) -> ResendOutcome;
    /// The address of its own that a delivery goes to; `None` where it goes to its URL as that is set. Only what a person had
    /// sent again has one.
    pub async fn address_of(&self, id: DeliveryId) -> Option<String>;
    /// The last attempts at a notification of a merchant, and where they went; the latest first.
    pub async fn sendings(&self, merchant_id: MerchantId, id: NotificationId) -> Vec<Sending>;

    // Bulk resends.

    /// Keeps the wish to deliver a list again, for `step_bulk` to fulfil; the same request key gives the one of the first
    /// time. A text that fits more orders than a list looks at is refused: it would be fulfilled in part.
    pub async fn add_bulk(&self, merchant_id: MerchantId, new: NewBulk) -> BulkId;
    /// Works a little at the bulk resend whose turn it is. Several nodes may do this at once: they share.
    pub async fn step_bulk(&self) -> BulkStep;
    /// Counts what a bulk resend would make, up to a limit.
    pub async fn count_bulk(&self, merchant_id: MerchantId, order: &BulkOrder) -> BulkCount;
    /// The latest bulk resends of a merchant.
    pub async fn bulks(&self, merchant_id: MerchantId) -> Vec<BulkRow>;
    /// A bulk resend, and how its deliveries stand.
    pub async fn bulk(&self, merchant_id: MerchantId, id: BulkId) -> Option<(BulkRow, BulkStanding)>;
    /// Whether a delivery still waits for an attempt: somebody may have cancelled it. One that is promised and does not stand
    /// in the table yet does.
    pub async fn is_open(&self, id: DeliveryId) -> bool;

    // The process.

    /// Tells the other nodes where this one listens.
    pub async fn introduce(&self, address: &str) -> ();
    /// Whether a server runs on the database at the moment.
    pub async fn is_served(&self) -> bool;

    // The queue.

    /// What each URL has outstanding; only URLs of which this node serves something.
    pub async fn lanes(&self) -> Vec<LaneDepth>;
    /// Open deliveries of a URL, of one kind, that are due until a moment, in order, after a place in that order.
    pub async fn lane(
        &self, url_id: UrlId, backlog: Backlog, after: Option<(Timestamp, DeliveryId)>, until: Timestamp, limit: u32
    ) -> Vec<Job>;
    /// When the first open delivery of a URL, of one kind, after a place in the order is due.
    pub async fn next_due(&self, url_id: UrlId, backlog: Backlog, after: (Timestamp, DeliveryId)) -> Option<Timestamp>;
    /// The first unfinished delivery of each of these orders to a URL, held ones and those of other nodes too: what the others of
    /// the order wait for. Those for debug are left out.
    pub async fn firsts(&self, url_id: UrlId, orders: &[OrderId]) -> Vec<First>;
    /// What is sent on of notifications: the received bodies, or what was made of them.
    pub async fn bodies(&self, ids: &[NotificationId]) -> HashMap<NotificationId, Bytes>;
    /// A notification as it came, and what is sent on of it; what retention has removed is empty.
    pub async fn original(&self, id: NotificationId) -> Option<Original>;
    /// Has some deliveries of this node that were tried while the clock was ahead be due as long after now as they were after that
    /// try; gives how many.
    pub async fn pull_back(&self) -> u64;
    /// URLs whose deliveries do not fit their setting yet: the URL, whether it is on hold, whether it was removed.
    pub async fn unsettled_urls(&self) -> Vec<(UrlId, bool, bool)>;
    /// Moves some open deliveries of a URL on hold to `held`; gives how many.
    pub async fn hold_open(&self, url_id: UrlId) -> u64;
    /// Moves some held deliveries of a released URL back into the queue; gives how many.
    pub async fn release_held(&self, url_id: UrlId) -> u64;
    /// Cancels some open or held deliveries of a removed URL; gives how many.
    pub async fn cancel_open(&self, url_id: UrlId) -> u64;

    /// Notes when the certificate ends that the server of a URL's address showed.
    pub async fn note_certificate(&self, id: UrlId, address: String, ends_at: Timestamp) -> ();

    // Retention.

    /// Removes the next few things that are older than the horizon; gives what went, and where to go on or `None` at the
    /// end.
    pub async fn retain(&self, horizon: Horizon, cursor: RetentionCursor) -> (Removed, Option<RetentionCursor>);

    /// When somebody last looked after retention, and since when he has doubted his clock.
    pub async fn retention_look(&self) -> Look;

    /// Notes that somebody looks after retention.
    pub async fn note_retention_look(&self, look: Look) -> ();

    /// Removes old keys whose validity ended before a moment; gives how many.
    pub async fn forget_old_keys(&self, ended_before: Timestamp) -> u64;

    // Alerts.

    /// Takes the right to tell of a URL: `false` where something on the kind's topic was told of it after `last_before`, by this node or
    /// another. The mails that tell of it are made in the same moment.
    pub async fn claim_alert(
        &self, url_id: UrlId, kind: AlertKind, at: Timestamp, last_before: Timestamp, mails: Vec<NewAlertMail>
    ) -> bool;
    /// Notes what became of an alert; without a cause it arrived.
    pub async fn alert_result(
        &self, url_id: UrlId, topic: AlertTopic, status: Option<u16>, cause: Option<Cause>, note: String
    ) -> ();
    /// What was told last of each URL of a merchant, topic by topic.
    pub async fn alerts_of(&self, merchant_id: MerchantId) -> HashMap<(UrlId, AlertTopic), AlertRow>;
    /// Takes alerts that are to be mailed now, at most so many. They are due again after a while, should nothing be heard of them.
    pub async fn take_alert_mails(&self, limit: u32, again_after: Duration) -> Vec<AlertMailJob>;
    /// Notes what a try came to.
    pub async fn finish_alert_mail(&self, id: MailId, result: MailResult) -> ();
    /// What a merchant was mailed last of trouble; the newest first, at most so many.
    pub async fn alert_mails(&self, merchant_id: MerchantId, limit: u32) -> Vec<AlertMailRow>;

    /// Deliveries that a URL's removal would cancel.
    pub async fn outstanding_of(&self, id: UrlId) -> u64;

    // People.

    /// Sets the language that a user reads, by its tag; with `None` his browser decides.
    pub async fn set_language(&self, id: UserId, language: Option<&'static str>) -> ();
    pub async fn user_by_email(&self, email: &str) -> Option<UserRecord>;
    pub async fn user(&self, id: UserId) -> Option<UserRecord>;
    /// Users by e-mail, with when they were last seen, and whether there are more. With a scope only those whose merchants are
    /// all in it.
    pub async fn users(
        &self, scope: Option<&[MerchantId]>, filter: &UserFilter
    ) -> (Vec<(UserRecord, Option<Timestamp>)>, bool);
    /// The user whose link this is, while it works.
    pub async fn user_by_link(&self, token_hash: &[u8; 32], now: Timestamp) -> Option<UserRecord>;
    /// Sets the password of the user whose link this is; the link ends, and so do his sessions. `None` where it works no more.
    pub async fn use_link(&self, token_hash: [u8; 32], password_hash: String, address: String) -> Option<UserId>;
    /// The sessions of a user that have not ended, the one used last first.
    pub async fn sessions_of(&self, id: UserId, now: Timestamp) -> Vec<SessionView>;
    pub async fn has_admin(&self) -> bool;
    pub async fn add_session(&self, session: SessionRecord) -> ();
    /// The user of a session that has not ended, and when the session was last seen.
    pub async fn session_user(&self, token_hash: &[u8; 32], now: Timestamp) -> Option<(UserRecord, Timestamp)>;
    /// The users of those of some sessions that have not ended.
    pub async fn session_users(&self, token_hashes: &[[u8; 32]], now: Timestamp) -> HashMap<[u8; 32], UserRecord>;
    pub async fn touch_session(&self, token_hash: [u8; 32], seen_at: Timestamp, expires_at: Timestamp) -> ();
    pub async fn end_session(&self, token_hash: [u8; 32]) -> ();
    /// Keeps the hash of the first-run token, in place of any earlier one.
    pub async fn set_setup_token(&self, token_hash: [u8; 32]) -> ();
    pub async fn setup_token(&self) -> Option<[u8; 32]>;

    // The audit log, and forms that are done once.

    /// Lines of the log, the newest first, and whether there are more.
    pub async fn audit_log(&self, merchant: Option<MerchantId>, filter: &AuditFilter) -> (Vec<AuditRow>, bool);
    /// What changed a thing after a version of it, the oldest first.
    pub async fn changes_of(&self, id: i64, after: i64) -> Vec<AuditRow>;
    /// Claims the key of a form for whoever sends it first.
    pub async fn claim_form(&self, user: UserId, key: String) -> FormClaim;
    /// Keeps the answer to a form, or, where there is none because it failed, lets it be sent again.
    pub async fn answer_form(&self, user: UserId, key: String, answer: Option<Vec<u8>>) -> ();
    /// The answer that is kept to a form; nothing where there is none, or not any more.
    pub async fn form_answer(&self, user: UserId, key: String) -> Option<Vec<u8>>;

    // What pages read.

    /// Orders that fit a filter, at most so many: the rows, whether there are more, whether the text fits too many to look at
    /// all.
    pub async fn find_some_orders(
        &self, merchant_id: MerchantId, filter: &OrderFilter, most: u32
    ) -> (Vec<OrderRow>, bool, bool);
    /// Deliveries that fit a filter, from the newest on, or after or before a place; at most so many.
    pub async fn find_deliveries(&self, merchant_id: MerchantId, filter: &DeliveryFilter, most: u32) -> FoundDeliveries;
    /// How many deliveries fit a filter, up to a limit; all pages of its list together.
    pub async fn count_deliveries(&self, merchant_id: MerchantId, filter: &DeliveryFilter) -> Counted;
    pub async fn order(&self, merchant_id: MerchantId, id: OrderId) -> Option<OrderRow>;
    /// The amount of an order, where it is known.
    pub async fn amount_of(&self, merchant_id: MerchantId, gateway: Gateway, reference: &str) -> Option<Money>;
    /// What is known of an order; `None` where it has no message yet.
    pub async fn known_order(&self, merchant_id: MerchantId, gateway: Gateway, reference: &str) -> Option<KnownOrder>;
    /// The order without how its deliveries stand.
    pub async fn bare_order(&self, merchant_id: MerchantId, id: OrderId) -> Option<OrderRow>;
    /// How the messages of an order stand at each URL; of one message where one is named.
    pub async fn standings(&self, order_id: OrderId, notification_id: Option<NotificationId>) -> Vec<StandingRow>;
    /// What happened to an order, from a place on, so many entries of it.
    pub async fn story_events(&self, scope: &StoryScope, turn: StoryTurn, limit: u32) -> Vec<StoryEvent>;
    /// What the events of a page are about.
    pub async fn story_rows(&self, part: &StoryPart) -> StoryRows;
    /// The order with this reference or external reference.
    pub async fn order_by_reference(&self, merchant_id: MerchantId, reference: &str) -> Option<OrderId>;
    /// The notifications of an order with their deliveries, the newest first.
    pub async fn notifications_of(&self, order_id: OrderId) -> Vec<NotificationView>;
    pub async fn notification(&self, merchant_id: MerchantId, id: NotificationId) -> Option<StoredNotification>;
    /// A delivery with its order and the gateway's word for the notification's status.
    pub async fn delivery(&self, merchant_id: MerchantId, id: DeliveryId) -> Option<(DeliveryView, OrderId, String)>;
    /// The attempts of a delivery, the newest first, or from a number on down; 200 of them.
    pub async fn attempts_of(&self, id: DeliveryId, until: Option<u32>) -> Vec<AttemptRow>;
    /// Attempts, by their deliveries and numbers, with everything that was sent and received; without those that are not there.
    pub async fn exchanges(&self, wanted: &[(DeliveryId, u32)]) -> Vec<(DeliveryId, Exchange)>;
    /// Counts since a moment (rounded down to its hour) and of now.
    pub async fn counts(&self, merchants: &[MerchantId], since: Timestamp) -> Counts;
    /// How the URLs of some merchants stand; deliveries given up since a moment are counted.
    pub async fn url_states(&self, merchants: &[MerchantId], expired_since: Timestamp) -> HashMap<UrlId, UrlState>;
    pub async fn merchant_ages(&self) -> HashMap<MerchantId, Timestamp>;
    /// When each listener last received and last refused something.
    pub async fn listener_activity(&self, merchant_id: MerchantId) -> HashMap<ListenerId, (Option<Timestamp>, Option<Timestamp>)>;
    /// What a listener accepted last.
    pub async fn received_by(&self, listener_id: ListenerId) -> Vec<ReceivedRow>;
    /// What a listener refused last.
    pub async fn refused_by(&self, listener_id: ListenerId) -> Vec<RefusalRow>;
    pub async fn refusal(&self, merchant_id: MerchantId, id: RefusalId) -> Option<StoredRefusal>;
    /// Messages that fit a filter, accepted and refused, from the newest on, or after or before a place; at most so many.
    pub async fn find_inbound(&self, merchant_id: MerchantId, filter: &InboundFilter, most: u32) -> FoundInbound;
    /// Messages that were posted to addresses which no listener has, before a place; the newest first, at most so many.
    pub async fn strays(&self, after: Option<NotificationId>, most: u32) -> Vec<RefusalRow>;
    /// Such a message.
    pub async fn stray(&self, id: RefusalId) -> Option<StoredRefusal>;
    /// Orders, messages and what has an id that a text names, of some merchants; at most so many of a kind.
    pub async fn search(&self, merchants: &[MerchantId], text: &str, id: Option<i64>, most: u32) -> Vec<FoundByText>;
    /// What happened in each hour since a moment, over some merchants; hours in which nothing did are left out.
    pub async fn hours(&self, merchants: &[MerchantId], since: Timestamp) -> Vec<HourCount>;
    /// How the URLs of some merchants answered since a moment (rounded down to its hour).
    pub async fn url_activity(&self, merchants: &[MerchantId], since: Timestamp) -> HashMap<UrlId, UrlActivity>;
    /// What listeners refused since a moment, and from another moment until then.
    pub async fn refused_lately(&self, merchants: &[MerchantId], since: Timestamp, before: Timestamp) -> Vec<RefusedLately>;
    /// Listeners that are switched on, and never got a message.
    pub async fn silent_listeners(&self, merchants: &[MerchantId]) -> Vec<ListenerId>;

    // What somebody keeps, and takes along.

    /// The views of a list that a user keeps, by name.
    pub async fn views(&self, user_id: UserId, merchant_id: MerchantId, list: ListKind) -> Vec<SavedView>;
    /// Keeps a view; one of the same name is replaced. `false` where there are too many.
    pub async fn save_view(&self, new: NewView) -> bool;
    /// Forgets a view of a user; `false` where he has none of that id.
    pub async fn remove_view(&self, user_id: UserId, merchant_id: MerchantId, id: ViewId) -> bool;

    // Mails to customers.

    /// Messages of a merchant with some statuses that nobody was mailed about yet, from a moment and behind a message on, in the
    /// order of their numbers; at most so many.
    pub async fn mail_candidates(
        &self, merchant_id: MerchantId, since: Timestamp, after: Option<NotificationId>, statuses: &[OrderStatus], limit: u32
    ) -> Vec<MailCandidate>;
    /// Adds mails; gives how many. One about a message that has a mail already is left out.
    pub async fn add_mails(&self, mails: Vec<NewMail>) -> u64;
    /// Takes mails that are due, at most so many. They are due again after a while, should nothing be heard of them.
    pub async fn take_mails(&self, limit: u32, again_after: Duration) -> Vec<MailJob>;
    /// Notes what a try came to.
    pub async fn finish_mail(&self, id: MailId, result: MailResult) -> ();
    /// Mails of a merchant that were given up, before one of them; the newest first, at most so many.
    pub async fn failed_mails(&self, merchant_id: MerchantId, before: Option<MailId>, limit: u32) -> Vec<MailRow>;
    /// Has a mail tried again that was given up; `false` where it was not, or where it goes to nobody.
    pub async fn retry_mail(&self, merchant_id: MerchantId, id: MailId) -> bool;
    /// Removes some mails that were made before a moment and wait for nothing; gives how many.
    pub async fn forget_mails(&self, before: Timestamp) -> u64;

    // Proof.

    /// The books of every URL, at one moment.
    pub async fn books(&self) -> Vec<UrlBooks>;
    /// The books of a URL and how many deliveries there are, at one moment: in states that an index counts, or in all;
    /// `None` where the URL has no books.
    pub async fn recount(&self, url_id: UrlId, whole: bool) -> Option<Recount>;

    /// Runs every check of `quittance doctor`.
    pub async fn verify(&self) -> Vec<Finding>;
}

forward_acts! {
    /// Ends a bulk resend: what was not made is not, what was not sent is cancelled. `false` where it had ended already.
    pub async fn cancel_bulk(&self, merchant_id: MerchantId, id: BulkId; actor) -> bool;
    pub async fn add_merchant(&self, new: NewMerchant; actor) -> MerchantId;
    /// Gives a merchant a new key; the one before stays valid until a moment, and is kept a while longer.
    pub async fn set_secret_key(&self, merchant_id: MerchantId, key: Secret, old_until: Timestamp; actor) -> ();
    /// Ends the validity of a merchant's old key now; `false` where it had none that was valid.
    pub async fn end_old_key(&self, merchant_id: MerchantId; actor) -> bool;
    /// Notes that a URL's script answers with the new key; `false` where that was known, or no old key is valid.
    pub async fn note_new_key(&self, id: UrlId; actor) -> bool;
    /// Sets which statuses and which fields a merchant's URLs get.
    pub async fn set_content(&self, merchant_id: MerchantId, triggers: Triggers, tags: Tags; actor) -> ();
    /// Sets where a merchant is told of trouble.
    pub async fn set_alerts(&self, merchant_id: MerchantId, alerts: Option<Alerts>; actor) -> ();
    /// Sets whom a merchant has mailed, and with what.
    pub async fn set_mail(&self, merchant_id: MerchantId, mail: MailSettings; actor) -> ();
    /// Sets the zone in which a merchant's moments are told; where it is so already, whatever else was changed meanwhile.
    pub async fn set_time_zone(&self, merchant_id: MerchantId, zone: Zone; actor) -> ();
    pub async fn add_listener(&self, draft: ListenerDraft, path_key: String; actor) -> ListenerId;
    pub async fn update_listener(&self, id: ListenerId, draft: ListenerDraft; actor) -> ();
    pub async fn add_url(&self, draft: UrlDraft; actor) -> UrlId;
    pub async fn update_url(&self, id: UrlId, draft: UrlDraft; actor) -> ();
    /// Puts a URL on hold because of what it answered; gives whether it was not on hold. Only while it still leads to the
    /// address that answered so: somebody may have corrected it meanwhile.
    pub async fn hold_for(&self, id: UrlId, address: String, cause: Cause; actor) -> bool;
    /// Takes a URL out of use; its open deliveries are cancelled by the sweep that follows.
    pub async fn remove_url(&self, merchant_id: MerchantId, id: UrlId; actor) -> ();
    /// Adds a user; with `only_first`, only while there is no administrator.
    pub async fn add_user(&self, new: NewUser, only_first: bool; actor) -> UserId;
    /// Sets a password and ends the user's sessions.
    pub async fn set_password(&self, id: UserId, hash: String; actor) -> ();
    /// Puts a URL on hold, or releases it; where it is so already, whatever else was changed about it meanwhile.
    pub async fn hold_url(&self, merchant_id: MerchantId, id: UrlId, held: bool; actor) -> ();
    /// Adds a user who chooses his password by a link.
    pub async fn invite_user(&self, new: NewUser, link: Link; actor) -> UserId;
    /// Gives a user a new link to choose a password by, in place of any earlier one.
    pub async fn set_link(&self, id: UserId, link: Link; actor) -> ();
    /// Takes a user's link back. Somebody who was only invited goes with it: gives whether he did.
    pub async fn withdraw_link(&self, id: UserId; actor) -> bool;
    /// Changes what a user may do; never so that nobody can administer the installation.
    pub async fn change_user(&self, id: UserId, role: Role, merchants: Vec<MerchantId>; actor) -> ();
    /// Lets a user sign in no more, at once, or again.
    pub async fn set_disabled(&self, id: UserId, disabled: bool; actor) -> ();
    /// Ends the sessions of a user but one; gives how many.
    pub async fn end_other_sessions(&self, id: UserId, kept: [u8; 32]; actor) -> u64;
    /// Notes in the audit log that somebody took a list along.
    pub async fn note_export(&self, merchant_id: MerchantId, list: ListKind, query: String; actor) -> ();
    /// Writes something down in the audit log that changes nothing else.
    pub async fn note(&self, note: Note; actor) -> ();
}
