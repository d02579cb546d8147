//! What an attempt makes of a delivery: the same on every engine.

use super::Next;
use crate::domain::DeliveryState;

/// What an attempt makes of a delivery. A proof of receipt counts even where the URL was put on hold or a person cancelled the
/// delivery while the request was on its way; whatever else comes of that leaves it cancelled.
pub(super) fn settle(current: DeliveryState, next: Next) -> DeliveryState {
    match (current, next) {
        (DeliveryState::Cancelled, Next::Confirmed) => DeliveryState::Confirmed,
        (state, _) if state.is_final() => state,
        (_, Next::Confirmed) => DeliveryState::Confirmed,
        (DeliveryState::Held, _) => DeliveryState::Held,
        (_, Next::Retry(_)) => DeliveryState::Retrying,
        (_, Next::Expired) => DeliveryState::Expired,
        (_, Next::Closed) => DeliveryState::Cancelled,
    }
}

/// Whether a delivery has ended by this, and when it did is to be told anew.
pub(super) fn has_ended(before: DeliveryState, now: DeliveryState) -> bool {
    now.is_final() && before != now
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    #[test]
    fn a_proof_of_receipt_counts_and_a_final_state_stays() {
        let retry = Next::Retry(Timestamp(1));
        assert_eq!(settle(DeliveryState::Queued, retry), DeliveryState::Retrying);
        assert_eq!(settle(DeliveryState::Retrying, Next::Expired), DeliveryState::Expired);
        assert_eq!(settle(DeliveryState::Held, Next::Confirmed), DeliveryState::Confirmed);
        assert_eq!(settle(DeliveryState::Held, Next::Expired), DeliveryState::Held, "held keeps");
        assert_eq!(settle(DeliveryState::Queued, Next::Closed), DeliveryState::Cancelled);
        for state in [DeliveryState::Confirmed, DeliveryState::Expired, DeliveryState::Cancelled] {
            for next in [Next::Confirmed, retry, Next::Expired, Next::Closed] {
                let on_its_way = (state, next) == (DeliveryState::Cancelled, Next::Confirmed);
                let expected = if on_its_way { DeliveryState::Confirmed } else { state };
                assert_eq!((settle(state, next), has_ended(state, expected)), (expected, on_its_way));
            }
        }
    }
}
