//! Forms that are done once: a double click, or a form that is sent again by a browser that lost the answer, gets the answer of
//! the first time.

use super::{
    Caller, app_error,
    form::{Done, Sent},
};
use crate::server::{auth::Token, service::wish::is_key, store::FormClaim};
use crate::{domain::AppError, words::t};
use futures::future::BoxFuture;
use std::time::Duration;

/// What the answer is sealed for.
const PLACE: &str = "form-key";
/// How long the second waits for the first.
const PATIENCE: Duration = Duration::from_secs(45);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Does what a form asks for, unless its key and everything that was entered came before: then that answer is given. A form
/// that failed can be sent again. `secrets` are fields that are not shown again. Scripts that send no key are not held back.
pub async fn once(
    caller: &Caller,
    key: &str,
    sent: &Sent,
    secrets: &[&str],
    work: BoxFuture<'static, Result<Done, AppError>>,
) -> Result<Done, AppError> {
    if !is_key(key) {
        return work.await;
    }
    // Whoever goes back in his browser and enters something else wants something else, although the form's key is the same.
    let entered = format!("{} {} {:?} {secrets:?}", sent.form, sent.page, sent.values);
    let key = format!("{key}-{}", hex::encode(&Token::hash_of(&entered)[..8]));
    let (store, user) = (caller.services.store.clone(), caller.user.id);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while tokio::time::Instant::now() < deadline {
        match store.claim_form(user, key.clone()).await.map_err(|error| app_error(error.into()))? {
            FormClaim::Fresh => {
                // In a task of its own: a browser that sends the form again breaks the first request off.
                let task = tokio::spawn(async move {
                    let result = work.await;
                    let done = result.as_ref().ok().filter(|done| !done.is_question());
                    let answer = done.and_then(|done| serde_json::to_vec(done).ok()).map(|plain| store.seal(PLACE, &plain));
                    if let Err(error) = store.answer_form(user, key, answer).await {
                        tracing::warn!(%error, "the answer to a form could not be kept");
                    }
                    result
                });
                return task.await.unwrap_or(Err(AppError::Unavailable));
            }
            FormClaim::Answered(answer) => {
                let done = store.unseal(PLACE, &answer).and_then(|plain| serde_json::from_slice(plain.reveal()).ok());
                return done.ok_or_else(|| AppError::field("", t!("This form was sent already; please reload the page.")));
            }
            FormClaim::UnderWay => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
    Err(AppError::field("", t!("This form was sent already and is still being worked at. Please look before you send it again.")))
}
