//! Why a delivery was not confirmed: one cause per thing that somebody can fix.
//!
//! Each cause has a short code that never changes (it lies in the database and in logs), a sentence in plain
//! words and a cure addressed to the person who can apply it.

use super::Format;
use serde::{Deserialize, Serialize};

macro_rules! causes {
    ($($(#[$doc:meta])* $name:ident $code:literal $label:literal, $sentence:literal, $cure:literal;)+) => {
        /// The cause of a failed attempt.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Cause {
            $($(#[$doc])* #[serde(rename = $code)] $name,)+
        }

        impl Cause {
            /// Every cause.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The code in databases, logs and addresses.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code),+ }
            }

            /// A few words for lists.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$name => $label),+ }
            }

            /// What happened, as a sentence.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence),+ }
            }

            /// What to do about it.
            pub const fn cure(self) -> &'static str {
                match self { $(Self::$name => $cure),+ }
            }
        }
    };
}

impl Cause {
    /// What happened, as a sentence, at a URL of this format.
    pub const fn sentence_for(self, format: Format) -> &'static str {
        match (format, self) {
            (Format::PassThrough, Self::MethodRefused) => {
                "The page exists but does not accept requests of the method that the gateway used (status 405)."
            }
            (Format::Json | Format::PassThrough, Self::OtherStatus) => {
                "The server answered with a status that is neither a success nor a known error."
            }
            _ => self.sentence(),
        }
    }

    /// What to do about it, at a URL of this format: where any 2xx confirms nobody has to print a receipt.
    pub const fn cure_for(self, format: Format) -> &'static str {
        match (format, self) {
            (Format::Ipn, _) => self.cure(),
            (_, Self::NoAnswer) => {
                "Answer first and work afterwards: let the server store the message, answer with status 200, and do slow work later."
            }
            (_, Self::Dripping) => "Let the server send its status with a short body, or with none, and end the answer.",
            (_, Self::OtherStatus) => "Let the server answer with status 200 or another 2xx once it has stored the message.",
            (Format::Json, Self::ClientError) => {
                "Read the body of the answer: open the attempt. If the signature was not accepted, compare the signing secret there with the one of this URL, and look at that server's clock."
            }
            (Format::Json, Self::Denied) => {
                "Exempt this path from the password, the firewall rule or the login check. If the server answers so to a wrong signature, compare the signing secret there with the one of this URL."
            }
            (Format::PassThrough, Self::ClientError) => {
                "Read the body of the answer: open the attempt. The message carries the gateway's own signature, so the server needs the gateway's secret, not the merchant's key."
            }
            (Format::PassThrough, Self::MethodRefused) => {
                "Let the server accept the method that the gateway uses; check rewrite rules that change it."
            }
            _ => self.cure(),
        }
    }

    /// Whether what the script answered is at fault, so that its author wants to try answers.
    pub const fn is_about_receipt(self) -> bool {
        matches!(
            self,
            Self::WrongReceipt
                | Self::WrongKey
                | Self::WrongAlgorithm
                | Self::CharacterLengths
                | Self::AllProducts
                | Self::OtherDate
                | Self::EditedValues
                | Self::CopiedSignature
                | Self::MalformedReceipt
                | Self::ErrorInReceipt
                | Self::EmptyAnswer
                | Self::PlainText
        )
    }
}

causes! {
    // Reaching it.
    UnknownName "dns-unknown-name" "Host name does not exist",
        "The host name of the URL does not exist in DNS, or has no address there.",
        "Check the spelling of the host name in the URL; if the domain is new or was moved, ask the host to publish its DNS record.";
    NameServerSilent "dns-silent" "Name server does not answer",
        "The name servers of the domain did not answer, or answered with an error.",
        "Ask whoever runs the domain's DNS to look at its name servers; nothing needs to change here.";
    AddressForbidden "address-forbidden" "Address not allowed",
        "The host name leads to a private, local or reserved address, and deliveries to such networks are not allowed.",
        "Use a publicly reachable host name. If the listener is meant to be inside this network, the operator can allow it with --allow-network.";
    Refused "connection-refused" "Connection refused",
        "The server refused the connection: nothing listens on that port.",
        "Start the web server, or correct the port in the URL; check that its firewall lets this address in.";
    Unreachable "unreachable" "Network unreachable",
        "There is no route to the server's address.",
        "Ask the host whether the server's network is up and whether its address has changed.";
    ConnectTimeout "connect-timeout" "Cannot connect in time",
        "The server did not accept the connection in time; usually a firewall drops it silently.",
        "Let the firewall of the server accept connections from this address on the URL's port.";
    TlsExpired "tls-expired" "Certificate expired",
        "The certificate of the server has expired or is not valid yet.",
        "Renew the certificate on the server, and check that its automatic renewal works.";
    TlsWrongHost "tls-wrong-host" "Certificate is for another host",
        "The certificate of the server was issued for another host name.",
        "Install a certificate that names this host, or use the host name that the certificate names in the URL.";
    TlsUnknownIssuer "tls-unknown-issuer" "Certificate issuer unknown",
        "The certificate was signed by an issuer that is not trusted here, or the server leaves out its intermediate certificate.",
        "Install the full certificate chain on the server; for a private issuer, paste its root certificate into the advanced settings of this URL.";
    TlsHandshake "tls-handshake" "TLS handshake failed",
        "The server and we could not agree on an encrypted connection.",
        "Offer TLS 1.2 or newer with a current cipher on the server; if the port speaks plain HTTP, use http:// in the URL.";
    Reset "connection-reset" "Connection broken off",
        "The server broke off the connection before its answer was whole.",
        "Look into the web server's error log at this time: a crashed worker or a request filter usually says so there.";
    // Waiting.
    SendTimeout "send-timeout" "Request not taken in time",
        "The server accepted the connection but did not take the whole request in time.",
        "Look at the load of the web server, or of the proxy in front of it: it has accepted the connection and does not read from it.";
    NoAnswer "no-answer" "No answer in time",
        "The server took the request but did not begin to answer in time.",
        "Answer first and work afterwards: let the script store the message, print the read receipt, and do slow work later.";
    Dripping "answer-too-slow" "Answer too slow",
        "The server began to answer but did not finish in time.",
        "Let the script print the read receipt and end; look for output that waits on something slow.";
    AnswerTooLarge "answer-too-large" "Answer too large",
        "The answer was larger than 1 MiB and no read receipt was in its beginning.",
        "Print the read receipt and nothing else; the URL seems to show a whole page or a file.";
    NotHttp "not-http" "Not an HTTP server",
        "What answered does not speak HTTP.",
        "Check the port in the URL; if the server expects encryption, use https://.";
    // The status.
    Redirect "redirect" "Redirects elsewhere",
        "The server redirects to another address. A redirect would lose the posted message, so it is not followed.",
        "Enter the final address as the URL (often with https:// or with www.), or switch the redirect off for this path.";
    Denied "denied" "Access denied",
        "The server wants a password or forbids access (status 401 or 403).",
        "Exempt this path from the password, the firewall rule or the login check: the signature in the message already proves who sent it.";
    NotFound "not-found" "Page not found",
        "The server says there is no such page (status 404).",
        "Check the path in the URL; upload the script if it is missing.";
    MethodRefused "method-refused" "POST not accepted",
        "The page exists but does not accept POST (status 405).",
        "Let the script accept POST requests; check rewrite rules that turn POST into GET.";
    Gone "gone" "Page is gone for good",
        "The server says that the page is gone for good (status 410).",
        "Put the script back or correct the URL, then release it here; or remove it. Until then its notifications are kept.";
    PayloadRefused "payload-refused" "Message too large for the server",
        "The server refuses a message of this size (status 413).",
        "Raise the request size limit of the web server for this path to 256 KiB.";
    RateLimited "rate-limited" "Told to slow down",
        "The server asks to be called less often (status 429).",
        "Raise the rate limit for this path, or set here how many requests a second and at a time the URL gets.";
    ClientError "client-error" "Refused with a 4xx status",
        "The server refused the request.",
        "The body of the answer usually says why: open the attempt and read it; the script may have rejected the signature or a field.";
    ServerError "server-error" "Server error",
        "The server answered with an error of its own (status 5xx).",
        "Look into the script's or the web server's error log at this time.";
    OtherStatus "other-status" "Unusual status",
        "The server answered with a status that is neither a success nor a known error, and without a read receipt.",
        "Let the script answer with status 200 and the read receipt.";
    // 200, but no receipt.
    EmptyAnswer "empty-answer" "Empty answer",
        "The script answered, but with nothing in it: there is no read receipt.",
        "Print the read receipt. If the script prints one only when the signature is right, compare the secret key and the algorithm with the settings here.";
    PlainText "no-receipt" "No read receipt",
        "The script answered with text, but without a read receipt.",
        "A plain OK is not enough: print the read receipt. If the script prints one only when the signature is right, compare the secret key and the algorithm.";
    HtmlPage "html-page" "A web page instead of a receipt",
        "The answer is a web page (a home page or a login form), not the output of the script.",
        "Check that the URL leads to the script itself and needs no sign-in.";
    Challenge "challenge-page" "A firewall's challenge page",
        "A web firewall in front of the server answered with a challenge page.",
        "Exempt this path from the bot check of the web firewall, or let this address through.";
    ScriptError "script-error" "Script error",
        "The script printed an error message of its programming language.",
        "Give the error message in the answer below to the script's developer.";
    MalformedReceipt "malformed-receipt" "Read receipt is malformed",
        "There is a read receipt in the answer, but it is cut off or not of the right form.",
        "Print it exactly as <EPAYMENT>DATE|HASH</EPAYMENT>, or <sig algo=\"sha256\" date=\"DATE\">HASH</sig>, without HTML escaping.";
    ErrorInReceipt "error-in-receipt" "Script reports an error",
        "The script put an error message where the receipt should be: it did not accept the message.",
        "Read its message in the answer below; most often the secret key in the script differs from the one here.";
    // 200, a receipt, but wrong.
    WrongKey "wrong-key" "Receipt made with another key",
        "The read receipt was made with another secret key.",
        "Put the secret key of this merchant into the script.";
    WrongAlgorithm "wrong-algorithm" "Receipt in another algorithm",
        "The read receipt was made with an algorithm weaker than, or other than, the ones chosen for this URL.",
        "Let the script answer with the algorithm of the signature it received, or choose its algorithm for this URL.";
    CharacterLengths "character-lengths" "Receipt counts characters",
        "The read receipt was made with lengths in characters; the protocol counts bytes, which differ where a product name is not plain ASCII.",
        "Count bytes in the script (strlen in PHP, Buffer.byteLength in Node, len of the encoded value in Python).";
    AllProducts "all-products" "Receipt over all products",
        "The read receipt was made over all products; the protocol uses the first product only.",
        "Use only IPN_PID[0] and IPN_PNAME[0] in the receipt.";
    OtherDate "other-date" "Receipt dated otherwise",
        "The read receipt was made with another date than the one it prints.",
        "Use one variable for the date: the same text must be hashed and printed.";
    EditedValues "edited-values" "Receipt over edited values",
        "The read receipt was made over edited values: trimmed, HTML-escaped or with slashes removed.",
        "Hash the values exactly as received; take them from the raw request if the framework edits them.";
    CopiedSignature "copied-signature" "Our signature sent back",
        "The script sent back the signature of the message instead of a receipt of its own.",
        "Compute the receipt over the first product's id and name, IPN_DATE and the date of the answer.";
    WrongReceipt "wrong-receipt" "Read receipt is wrong",
        "There is a read receipt, but its hash is wrong for a reason that we could not tell.",
        "Compare the text that was hashed here, and its hash, with the script's.";
    // Ours.
    MessageGone "message-gone" "Message is not kept any more",
        "The bytes of this notification are not kept any more, so it cannot be sent again.",
        "Ask the gateway to send the notification of this order again.";
    UrlInvalid "url-invalid" "URL cannot be used",
        "The notification URL is not a usable http or https address.",
        "Correct the URL in the settings.";
}

impl Cause {
    /// The cause for a code from the database; `None` for a code of another version.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|cause| cause.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_cause_is_told_apart_and_worded() {
        let codes: HashSet<_> = Cause::ALL.iter().map(|cause| cause.code()).collect();
        assert_eq!(codes.len(), Cause::ALL.len());
        for cause in Cause::ALL {
            assert_eq!(Cause::from_code(cause.code()), Some(*cause));
            assert!(cause.sentence().ends_with('.') && cause.cure().ends_with('.'), "{cause:?}");
            assert!(cause.label().len() <= 40, "{cause:?} does not fit a list");
            for format in [Format::Json, Format::PassThrough] {
                let (sentence, cure) = (cause.sentence_for(format), cause.cure_for(format));
                assert!(sentence.ends_with('.') && cure.ends_with('.'), "{cause:?}");
                // What can happen there tells of no receipt.
                if !cause.is_about_receipt() && !matches!(cause, Cause::AnswerTooLarge | Cause::HtmlPage) {
                    assert!(!sentence.contains("receipt") && !cure.contains("receipt"), "{cause:?}: {sentence} {cure}");
                }
            }
        }
    }
}
