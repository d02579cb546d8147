//! Reads an answer where its status tells: any 2xx confirms. Of what was passed through a read receipt does, too, whatever
//! the status. Pure.

use super::verdict::{AnswerView, SEARCHED, Verdict, by_status};
use crate::domain::{Cause, attempt::VerdictDetail};
use crate::server::ipn::{
    ReceiptFacts,
    receipt::{Finding, find},
};

/// A receipt that would confirm.
pub struct Receipt<'a> {
    pub facts: &'a ReceiptFacts,
    /// Keys that it may be made with: the merchant's, and those of his gateways, which signed what was passed through.
    pub keys: Vec<&'a [u8]>,
}

/// Judges an answer.
pub fn judge(answer: &AnswerView<'_>, receipt: Option<&Receipt<'_>>) -> Verdict {
    let confirmed =
        |note: String| Verdict { cause: None, detail: VerdictDetail { note, ..VerdictDetail::default() }, made_with: None };
    if (200..300).contains(&answer.status) {
        return confirmed(format!("Confirmed by status {}.", answer.status));
    }
    if let Some(receipt) = receipt {
        let is_right = |finding: &Finding| match finding {
            Finding::Receipt(found) => receipt.keys.iter().any(|key| receipt.facts.is_confirmed_by(found, key)),
            Finding::Malformed(_) | Finding::ErrorText(_) => false,
        };
        if find(answer.body).iter().any(is_right) {
            return confirmed(format!("Confirmed by a read receipt, in an answer with status {}.", answer.status));
        }
    }
    let body = String::from_utf8_lossy(&answer.body[..answer.body.len().min(SEARCHED)]);
    by_status(answer, &body).unwrap_or_else(|| Verdict::failed(Cause::OtherStatus, ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Algorithm;

    fn judged(status: u16, body: &str, receipt: Option<&Receipt<'_>>) -> Option<Cause> {
        judge(&AnswerView { status, location: None, body: body.as_bytes(), truncated: false }, receipt).cause
    }

    #[test]
    fn any_2xx_confirms_and_nothing_else() {
        for status in [200, 201, 202, 204, 226, 299] {
            assert_eq!(judged(status, "<html>whatever", None), None, "{status}");
        }
        for (status, cause) in [
            (199, Cause::OtherStatus),
            (301, Cause::Redirect),
            (401, Cause::Denied),
            (404, Cause::NotFound),
            (405, Cause::MethodRefused),
            (410, Cause::Gone),
            (422, Cause::ClientError),
            (429, Cause::RateLimited),
            (500, Cause::ServerError),
        ] {
            assert_eq!(judged(status, "", None), Some(cause), "{status}");
        }
    }

    #[test]
    fn a_receipt_with_a_key_of_the_merchant_or_of_a_gateway_confirms() {
        let form = crate::server::ipn::Form::parse(b"IPN_PID[]=1&IPN_PNAME[]=x&IPN_DATE=2").unwrap();
        let facts = ReceiptFacts::of(&form);
        let receipt = Receipt { facts: &facts, keys: vec![b"merchant", b"gateway"] };
        for (key, cause) in [(&b"merchant"[..], None), (b"gateway", None), (b"nobody", Some(Cause::ServerError))] {
            let answer = facts.receipt(Algorithm::Sha2, key, "20260301120010");
            assert_eq!(judged(500, &answer, Some(&receipt)), cause);
            assert_eq!(judged(500, &answer, None), Some(Cause::ServerError));
        }
    }
}
