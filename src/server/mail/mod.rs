//! Mails leave here: over SMTP, to the server that the operator named.
//!
//! `worker` finds who has to be written to and tries what waits. Must not live here: whom a merchant wants mailed, and with
//! which words (`service/mail`, `domain/mail`); how mails are kept (`store`).

pub mod worker;

use crate::domain::mail::{MailCause, html, on_one_line};
use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    address::Envelope,
    message::{Mailbox, MultiPart, SinglePart, header::ContentType},
    transport::smtp,
};
use std::{fmt, net::IpAddr, str::FromStr, sync::Arc, time::Duration};
use url::Url;

/// A mail server must answer each command within this time.
const PATIENCE: Duration = Duration::from_secs(20);
/// Of what a mail server said as many characters are kept.
const MOST_SAID: usize = 300;

/// What an address ends in whose connections must be encrypted.
const ENCRYPTED: &str = "tls=required";

/// Where mail is given to: `smtp://user:password@host:587`, or `smtps://` for TLS from the first byte on.
///
/// With `smtp://` the connection has to be encrypted by STARTTLS before anything is said, unless the server is this machine or
/// the address ends in `?tls=none`.
#[derive(Clone, PartialEq, Eq)]
pub struct SmtpUrl(Url);

impl SmtpUrl {
    fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// Whether the server is this machine, where nobody listens in between.
    fn is_here(&self) -> bool {
        let host = self.host().trim_matches(['[', ']']);
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// The address as the transport reads it: what is left out there means no encryption at all.
    fn for_transport(&self) -> Url {
        let mut url = self.0.clone();
        let asked = url.query().map(str::to_owned);
        url.set_query(None);
        let wants = asked.as_deref() == Some(ENCRYPTED) || (asked.is_none() && !self.is_here());
        if url.scheme() == "smtp" && wants {
            url.set_query(Some(ENCRYPTED));
        }
        url
    }
}

/// As logs and pages show it: without user and password.
impl fmt::Display for SmtpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme(), self.host())?;
        self.0.port().map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Debug for SmtpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SmtpUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Never with what was typed: it may hold a password.
        let wrong = |reason: &str| format!("{reason}; expected something like smtp://user:password@mail.example.com:587");
        let url = Url::parse(text.trim()).map_err(|error| wrong(&error.to_string()))?;
        if !matches!(url.scheme(), "smtp" | "smtps") {
            return Err(wrong("it begins with smtp:// or smtps://"));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(wrong("the host is missing"));
        }
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(wrong("nothing belongs behind the host and port"));
        }
        if !matches!(url.query(), None | Some("tls=none" | ENCRYPTED)) {
            return Err(wrong("the only thing that may follow is ?tls=none or ?tls=required"));
        }
        Ok(Self(url))
    }
}

/// The address that the installation's mails are from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailFrom(Address);

impl MailFrom {
    pub fn as_str(&self) -> &str {
        self.0.as_ref()
    }
}

impl FromStr for MailFrom {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let address = address(text).ok_or("this is no e-mail address; expected something like shop@example.com")?;
        Ok(Self(address))
    }
}

/// What the operator decides about mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailServer {
    pub url: SmtpUrl,
    pub from: MailFrom,
}

/// An address to write to or from; `None` where no mail server would take it.
fn address(text: &str) -> Option<Address> {
    text.trim()
        .parse::<Address>()
        .ok()
        .filter(|_| !text.trim().contains(|letter: char| letter.is_control() || letter.is_whitespace()))
}

/// Whether mails can be written to or from an address.
pub fn is_address(text: &str) -> bool {
    address(text).is_some()
}

/// A mail to send.
#[derive(Debug, Clone)]
pub struct Letter<'a> {
    /// The same for every try, so that what is taken twice can be told by whoever gets it.
    pub id: &'a str,
    pub to: &'a str,
    /// Empty where it is that of the installation.
    pub from: &'a str,
    pub from_name: &'a str,
    pub subject: &'a str,
    pub text: &'a str,
}

/// Why a mail was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untaken {
    pub cause: MailCause,
    /// What the mail server said, or what went wrong on the way to it.
    pub note: String,
}

impl Untaken {
    fn because(cause: MailCause) -> Self {
        Self { cause, note: String::new() }
    }
}

/// Gives mails to the server that the operator named. Cheap to clone.
#[derive(Clone)]
pub struct Mailer(Arc<Inner>);

struct Inner {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Address,
}

impl Mailer {
    /// A mailer for a server. An error says what is wrong with its address.
    pub fn new(server: &MailServer) -> Result<Self, String> {
        let url = server.url.for_transport();
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.as_str())
            .map_err(|_| format!("{} cannot be used as the address of a mail server", server.url))?
            .timeout(Some(PATIENCE))
            .build();
        Ok(Self(Arc::new(Inner { transport, from: server.from.0.clone() })))
    }

    /// The address that mails are from where a merchant has none of his own.
    pub fn from(&self) -> &str {
        self.0.from.as_ref()
    }

    /// Sends one mail.
    pub async fn send(&self, letter: &Letter<'_>) -> Result<(), Untaken> {
        let message = self.message(letter)?;
        // The time of the whole: the transport's is for each command.
        match tokio::time::timeout(PATIENCE * 3, self.0.transport.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(untaken(&error)),
            Err(_) => Err(Untaken::because(MailCause::Silent)),
        }
    }

    fn message(&self, letter: &Letter<'_>) -> Result<Message, Untaken> {
        let to = address(letter.to).ok_or(Untaken::because(MailCause::BadAddress))?;
        let from = match letter.from {
            "" => self.0.from.clone(),
            own => address(own).ok_or(Untaken::because(MailCause::BadSender))?,
        };
        let name = Some(on_one_line(letter.from_name)).filter(|name| !name.is_empty());
        let domain = self.0.from.domain();
        // Bounces go to whoever runs the installation, whose server this is.
        let envelope = Envelope::new(Some(self.0.from.clone()), vec![to.clone()]);
        let envelope = envelope.map_err(|_| Untaken::because(MailCause::BadAddress))?;
        let bodies = MultiPart::alternative()
            .singlepart(SinglePart::builder().header(ContentType::TEXT_PLAIN).body(letter.text.to_owned()))
            .singlepart(SinglePart::builder().header(ContentType::TEXT_HTML).body(html(letter.text)));
        Message::builder()
            .from(Mailbox::new(name, from))
            .to(Mailbox::new(None, to))
            .subject(on_one_line(letter.subject))
            .message_id(Some(format!("<{}@{domain}>", letter.id)))
            .header(AutoSubmitted)
            .envelope(envelope)
            .multipart(bodies)
            .map_err(|_| Untaken::because(MailCause::BadSender))
    }
}

/// Tells programs that no person wrote it, so that no holiday notice comes back (RFC 3834).
#[derive(Clone)]
struct AutoSubmitted;

impl lettre::message::header::Header for AutoSubmitted {
    fn name() -> lettre::message::header::HeaderName {
        lettre::message::header::HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> lettre::message::header::HeaderValue {
        lettre::message::header::HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// What an error of the transport means.
fn untaken(error: &smtp::Error) -> Untaken {
    let mut note = String::new();
    let mut source: Option<&dyn std::error::Error> = Some(error);
    // The outermost says least.
    while let Some(inner) = source {
        note = inner.to_string();
        source = inner.source();
    }
    let code = error.status().map(u16::from);
    let cause = match code {
        Some(530 | 534 | 535 | 538 | 454) => MailCause::SignIn,
        Some(400..=499) => MailCause::Later,
        Some(500..=599) => MailCause::Refused,
        _ if error.is_timeout() || error.is_response() => MailCause::Silent,
        _ if error.is_tls() => MailCause::Tls,
        _ if note.to_ascii_lowercase().contains("starttls") || note.contains("certificate") => MailCause::Tls,
        // Connected, and then no word of SMTP, or none of those that were expected.
        _ if error.is_client() => MailCause::SignIn,
        _ => MailCause::Unreachable,
    };
    let said = code.map_or_else(String::new, |code| format!("{code} "));
    Untaken { cause, note: on_one_line(&format!("{said}{note}")).chars().take(MOST_SAID).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailer() -> Mailer {
        let url = "smtp://mail.example.com:587".parse().unwrap();
        Mailer::new(&MailServer { url, from: "shop@example.com".parse().unwrap() }).unwrap()
    }

    #[test]
    fn an_address_of_a_server_shows_no_password_and_means_encryption() {
        let url: SmtpUrl = "smtp://me:h%40sh@mail.example.com:587".parse().unwrap();
        assert_eq!(
            (url.to_string(), format!("{url:?}")),
            ("smtp://mail.example.com:587".into(), "smtp://mail.example.com:587".into())
        );
        assert_eq!(url.for_transport().query(), Some("tls=required"));
        for (text, query) in [
            ("smtp://127.0.0.1:25", None),
            ("smtp://localhost", None),
            ("smtp://[::1]:25", None),
            ("smtp://mail.example.com?tls=none", None),
            ("smtps://mail.example.com", None),
            ("smtp://127.0.0.1:25?tls=required", Some("tls=required")),
            ("smtp://mail.example.com", Some("tls=required")),
        ] {
            assert_eq!(text.parse::<SmtpUrl>().unwrap().for_transport().query(), query, "{text}");
        }
        for text in
            ["", "mail.example.com", "http://me:hush@x", "smtp://", "smtp://x/hush", "smtp://x?tls=maybe", "smtp://me:hush@x#y"]
        {
            let error = text.parse::<SmtpUrl>().unwrap_err();
            assert!(error.contains("smtp://user") && !error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn nothing_that_somebody_enters_makes_a_header() {
        let evil = "x\r\nBcc: evil@example.com\r\n\r\nbody";
        let letter =
            Letter { id: "mail-1", to: "ana@shop.example", from: "", from_name: evil, subject: evil, text: "Hello\r\n.\r\nQUIT" };
        let made = mailer().message(&letter).unwrap();
        let text = String::from_utf8(made.formatted()).unwrap();
        let head = text.split("\r\n\r\n").next().unwrap();
        assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
        assert!(head.contains("Message-ID: <mail-1@example.com>") && head.contains("Auto-Submitted: auto-generated"), "{head}");
        for to in [
            evil,
            "ana@shop.example\r\nRCPT TO:<x@y.example>",
            "ana@shop.example>",
            "ana",
            "",
            "a b@c.example",
            "ana@shop.example, x@y.example",
        ] {
            assert_eq!(mailer().message(&Letter { to, ..letter.clone() }).unwrap_err().cause, MailCause::BadAddress, "{to:?}");
            if !to.is_empty() {
                assert_eq!(
                    mailer().message(&Letter { from: to, ..letter.clone() }).unwrap_err().cause,
                    MailCause::BadSender,
                    "{to:?}"
                );
            }
        }
    }
}
