//! What leaves for a URL, in the form that it wants: the 2Checkout form (`sign` makes it), JSON, or what came, as it came.
//!
//! `json` makes the object, `webhook` signs it, `through` passes on. Pure: a stored message and settings in, a request out.
//! Must not live here: where it is sent, what an answer means.

mod json;
mod through;
pub mod webhook;

use super::sign::{Outgoing, sign};
use crate::domain::{Cause, Format, Timestamp, id::NotificationId};
use crate::server::{
    ipn::{Form, ReceiptFacts},
    store::{Merchant, NotificationUrl, Original},
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, header};

/// What is known of a message when it leaves.
#[derive(Debug, Clone)]
pub enum Material {
    /// Its fields in the 2Checkout form: all that this form needs.
    Leaves(Bytes),
    /// All of it.
    Whole(Box<Original>),
}

impl Material {
    /// Whether a URL of this format needs all of it.
    pub const fn must_be_whole(format: Format) -> bool {
        !matches!(format, Format::Ipn)
    }

    /// The fields in the 2Checkout form.
    fn leaves(&self) -> &Bytes {
        match self {
            Self::Leaves(leaves) => leaves,
            Self::Whole(original) => &original.leaves,
        }
    }
}

/// A message ready to be sent.
#[derive(Debug, Clone)]
pub struct Letter {
    pub method: Method,
    /// Comes behind the query of the URL itself.
    pub query: Option<String>,
    /// Those that belong to the message, the content type first where it has one.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Bytes,
    pub proof: Proof,
    /// The form that it is in.
    pub format: Format,
    /// One sentence about why it is in that form, where it is not that of the URL.
    pub note: &'static str,
}

/// What confirms a message.
#[derive(Debug, Clone)]
pub enum Proof {
    /// A read receipt for what was signed.
    Receipt(Outgoing),
    /// Any 2xx; or a read receipt, where one can be made.
    Status(Option<ReceiptFacts>),
}

/// Which keys a message is signed with.
#[derive(Debug, Clone, Copy)]
pub struct Keys<'a> {
    /// The one that the script seems to have.
    pub chosen: &'a [u8],
    /// The merchant's key.
    pub new: &'a [u8],
    /// The one before, while it is valid.
    pub old: Option<&'a [u8]>,
}

const NOTHING_TO_PASS: &str = "No gateway sent this TEST order, so there is nothing to pass through: it left in the 2Checkout form, signed with the merchant's key.";

/// Makes the message in the form that a URL wants. An error tells why nothing can be sent.
pub fn letter(
    material: &Material,
    url: &NotificationUrl,
    merchant: &Merchant,
    keys: Keys<'_>,
    id: NotificationId,
    now: Timestamp,
) -> Result<Letter, (Cause, String)> {
    match (url.terms.format, material) {
        (Format::Json, Material::Whole(original)) if !original.leaves.is_empty() => {
            let body = json::message(original, id, &merchant.tags).ok_or((Cause::MessageGone, String::new()))?;
            Ok(webhook::letter(body, url.id, keys, id, now))
        }
        (Format::PassThrough, Material::Whole(original)) if !original.leaves.is_empty() => match through::letter(original) {
            Some(letter) => Ok(letter),
            None => Ok(Letter { note: NOTHING_TO_PASS, ..form(material, url, merchant, keys)? }),
        },
        _ => form(material, url, merchant, keys),
    }
}

/// The message in the 2Checkout form.
fn form(material: &Material, url: &NotificationUrl, merchant: &Merchant, keys: Keys<'_>) -> Result<Letter, (Cause, String)> {
    let outgoing =
        sign(material.leaves(), &merchant.tags, url.algorithms, keys.chosen).map_err(|_| (Cause::MessageGone, String::new()))?;
    // Room for what every request carries beside it.
    let mut headers = Vec::with_capacity(8);
    headers.push((header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")));
    Ok(Letter {
        method: Method::POST,
        query: None,
        headers,
        body: outgoing.body.clone(),
        proof: Proof::Receipt(outgoing),
        format: Format::Ipn,
        note: "",
    })
}

/// What a read receipt for a form would run over.
fn receipt_of(body: &[u8]) -> Option<ReceiptFacts> {
    let form = Form::parse(body).ok()?;
    let facts = ReceiptFacts::of(&form);
    (!facts.product_id.is_empty() || !facts.product_name.is_empty()).then_some(facts)
}
