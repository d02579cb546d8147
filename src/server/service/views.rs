//! Saved views of lists, and the time zone of a merchant.

use super::{ServiceResult, Services};
use crate::server::store::{Actor, Merchant, NewView};
use crate::{
    domain::{
        AppError, Zone,
        id::{UserId, ViewId},
        pages::{
            deliveries::DeliveryFilter,
            inbound::InboundFilter,
            views::{ListKind, SavedView},
        },
    },
    words::t,
};

/// Longest name of a view, in characters.
const LONGEST_NAME: usize = 60;
/// Longest query of a view, in bytes.
const LONGEST_QUERY: usize = 2_000;

impl Services {
    /// The views of a list that a user keeps.
    pub async fn views(&self, user: UserId, merchant: &Merchant, list: ListKind) -> ServiceResult<Vec<SavedView>> {
        Ok(self.store.views(user, merchant.id, list).await?)
    }

    /// Keeps the filter of a list under a name.
    pub async fn save_view(
        &self,
        user: UserId,
        merchant: &Merchant,
        list: ListKind,
        name: &str,
        query: &str,
    ) -> ServiceResult<()> {
        let name = name.trim();
        if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
            let message = t!("Enter a name for the view, of at most {most} characters.", most = LONGEST_NAME);
            return Err(AppError::field("name", message).into());
        }
        let query = cleaned(list, query, &merchant.zone);
        if query.is_empty() || query.len() > LONGEST_QUERY {
            return Err(AppError::field("name", t!("Filter the list first: a view keeps the filter.")).into());
        }
        let new = NewView { user_id: user, merchant_id: merchant.id, list, name: name.to_owned(), query };
        match self.store.save_view(new).await? {
            true => Ok(()),
            false => Err(AppError::field("name", t!("There are 50 views of this list; remove one that is not needed.")).into()),
        }
    }

    /// Forgets a view.
    pub async fn remove_view(&self, user: UserId, merchant: &Merchant, id: ViewId) -> ServiceResult<()> {
        match self.store.remove_view(user, merchant.id, id).await? {
            true => Ok(()),
            false => Err(AppError::NotFound.into()),
        }
    }

    /// Sets the zone in which a merchant's moments are told.
    pub async fn set_time_zone(&self, merchant: &Merchant, name: &str, actor: impl Into<Actor> + Send) -> ServiceResult<Zone> {
        let message = t!("There is no such time zone. Choose one of the list, like Europe/Bucharest.");
        let zone = Zone::parse(name).ok_or_else(|| AppError::field("time_zone", message))?;
        let actor = actor.into();
        let seen = actor.seen;
        let saved = self.store.set_time_zone(merchant.id, zone.clone(), actor).await;
        self.or_conflict(merchant.id.get(), seen, saved).await?;
        Ok(zone)
    }
}

/// The filter that a query means, written anew: nothing else gets into an address that somebody will click on.
fn cleaned(list: ListKind, query: &str, zone: &Zone) -> String {
    let fields: Vec<(String, String)> =
        url::form_urlencoded::parse(query.trim_start_matches('?').as_bytes()).into_owned().collect();
    let field = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    match list {
        ListKind::Deliveries => DeliveryFilter::read(field, zone).0.whole().query(),
        ListKind::Inbound => InboundFilter::read(field).0.whole().query(),
        ListKind::Orders => {
            const KNOWN: [&str; 5] = ["text", "status", "from", "until", "test"];
            let mut written = url::form_urlencoded::Serializer::new(String::new());
            for name in KNOWN {
                if let Some(value) = field(name).filter(|value| !value.is_empty()) {
                    written.append_pair(name, &value);
                }
            }
            let written = written.finish();
            if written.is_empty() { written } else { format!("?{written}") }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_keeps_a_filter_and_nothing_else() {
        let utc = Zone::default();
        assert_eq!(cleaned(ListKind::Deliveries, "?state=expired&after=11&evil=%0d%0a&url=", &utc), "?state=expired");
        assert_eq!(cleaned(ListKind::Inbound, "outcome=refused&text=a+b", &utc), "?text=a+b&outcome=refused");
        assert_eq!(cleaned(ListKind::Orders, "?text=a%20b&after=1&status=paid", &utc), "?text=a+b&status=paid");
        assert_eq!(cleaned(ListKind::Orders, "?", &utc), "");
    }
}
