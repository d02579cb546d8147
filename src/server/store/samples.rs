//! Samples for the tests of this folder. Must not live here: anything that the program itself needs.

use super::{AttemptRecord, Next};
use crate::domain::{
    Timestamp,
    id::{DeliveryId, MerchantId, OrderId, UrlId},
};

/// A confirmed attempt for a delivery, without any texts.
pub fn attempt(delivery_id: i64) -> AttemptRecord {
    AttemptRecord {
        delivery_id: DeliveryId(delivery_id),
        merchant_id: MerchantId(1),
        order_id: OrderId(1),
        url_id: UrlId(1),
        started_at: Timestamp(1),
        finished_at: Timestamp(2),
        window_from: Timestamp(1),
        address: None,
        status: Some(200),
        cause: None,
        detail: Default::default(),
        timings: Default::default(),
        request_head: String::new(),
        request_body: Default::default(),
        answer_head: String::new(),
        answer_body: Default::default(),
        shadow: false,
        next: Next::Confirmed,
    }
}
