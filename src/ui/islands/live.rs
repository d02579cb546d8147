//! A part of a page that stays up to date.

use crate::domain::{
    id::{ListenerId, OrderId},
    pages::live::Event,
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// What a part of a page is about: when something of it changes, the part is read again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Subject {
    /// All merchants that the viewer may see.
    All,
    Merchant(String),
    Order(String, OrderId),
    Listener(String, ListenerId),
    /// It changes only when the reader wants it to.
    Nothing,
}

impl Subject {
    /// Whether an event is about it.
    pub fn is_touched_by(&self, event: &Event) -> bool {
        let same = |merchant: &String, other: &String| merchant == other;
        match (self, event) {
            (Self::Nothing, _) => false,
            (Self::All, _) | (_, Event::Everything) => true,
            (Self::Order(at, id), Event::Order { merchant, order }) => same(at, merchant) && id == order,
            (Self::Listener(at, id), Event::Refusal { merchant, listener }) => same(at, merchant) && id == listener,
            (Self::Order(..), Event::Refusal { .. }) => false,
            (
                Self::Merchant(at) | Self::Order(at, _) | Self::Listener(at, _),
                Event::Order { merchant, .. } | Event::Orders { merchant } | Event::Refusal { merchant, .. },
            ) => same(at, merchant),
        }
    }
}

/// A live part; a page has one. Its first content comes with the page.
#[island]
pub fn Live(subject: Subject, children: Children) -> impl IntoView {
    #[cfg(feature = "hydrate")]
    super::reader::listen(subject);
    #[cfg(not(feature = "hydrate"))]
    let _ = subject;
    view! { <div id="live" class="stack">{children()}</div> }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_touched_by_what_is_about_it() {
        let shop = || "shop".to_owned();
        let order = |merchant: &str, id| Event::Order { merchant: merchant.to_owned(), order: OrderId(id) };
        let page = Subject::Order(shop(), OrderId(7));
        assert!(page.is_touched_by(&order("shop", 7)));
        assert!(!page.is_touched_by(&order("shop", 8)));
        assert!(!page.is_touched_by(&order("other", 7)));
        assert!(page.is_touched_by(&Event::Orders { merchant: shop() }), "many at once are not named one by one");
        assert!(page.is_touched_by(&Event::Everything));
        assert!(Subject::All.is_touched_by(&order("other", 1)));
        assert!(Subject::Merchant(shop()).is_touched_by(&order("shop", 1)));
        assert!(!Subject::Nothing.is_touched_by(&Event::Everything));
        let refusal = Event::Refusal { merchant: shop(), listener: ListenerId(3) };
        assert!(Subject::Listener(shop(), ListenerId(3)).is_touched_by(&refusal));
        assert!(!Subject::Listener(shop(), ListenerId(4)).is_touched_by(&refusal));
        assert!(Subject::Listener(shop(), ListenerId(4)).is_touched_by(&order("shop", 1)), "it may have come through it");
    }
}
