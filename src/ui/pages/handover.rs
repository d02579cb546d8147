//! The message for whoever looks after the script: what was sent, when, to where, what came back, what is wrong, how to
//! reproduce it. Plain text without secrets. Pure.

use super::curl;
use crate::{
    domain::{Format, pages::orders::AttemptPage},
    ui::format::{bytes, date_time, shortened, span},
    words::{reworded, t, tell},
};

/// Of an answer as many characters go along.
const MOST_ANSWER: usize = 4_000;
/// Parts of header names that tell of a secret in the value.
const SECRET_HEADERS: [&str; 8] = ["authorization", "cookie", "token", "secret", "password", "api-key", "apikey", "credential"];

/// The whole message.
pub fn message(page: &AttemptPage) -> String {
    let attempt = &page.attempt;
    let url = address(page);
    let head = without_secrets(&page.request_head);
    let mut text = String::new();
    let order = one_line(&page.reference);
    let subject = match attempt.cause {
        None => t!("The payment notification of order {order} was confirmed", order),
        Some(_) => t!("The payment notification of order {order} was not confirmed", order),
    };
    let size = bytes(page.request_size);
    let status = one_line(&page.vendor_status);
    let method = page.request_head.split(' ').next().filter(|method| !method.is_empty()).unwrap_or("POST");
    let mut line = |words: &str| {
        text.push_str(words);
        text.push('\n');
    };
    line(&subject);
    line("");
    line(t!("WHAT WAS SENT"));
    line(&match page.detail.format {
        Format::Ipn => t!("An IPN with the status {status}, {size}, as POST.", status, size),
        Format::Json => {
            t!("A notification as JSON, signed by Standard Webhooks, with the status {status}, {size}, as POST.", status, size)
        }
        Format::PassThrough => {
            t!("The gateway's own message, passed through, with the status {status}, {size}, as {method}.", status, size, method)
        }
    });
    line(&t!("To:       {url}", url));
    if let Some(address) = &attempt.address {
        line(&t!("Address:  {address}", address));
    }
    line(&t!("When:     {time} UTC", time = date_time(attempt.started_at)));
    line(&t!("Delivery: {id}, attempt {number}", id = page.delivery.id, number = attempt.number));
    line("");
    line(t!("WHAT CAME BACK"));
    let took = span(attempt.timings.total);
    if page.answer_head.is_empty() {
        line(&t!("No answer; it ended after {span}.", span = took));
    } else {
        line(&t!("After {span}:", span = took));
        line("");
        text.push_str(&indented(&without_secrets(&page.answer_head)));
        text.push_str("    \n");
        let body = match page.answer_body.as_str() {
            "" => t!("(empty body)").to_owned(),
            body => shortened(body, MOST_ANSWER),
        };
        text.push_str(&indented(&body));
    }
    let mut line = |words: &str| {
        text.push_str(words);
        text.push('\n');
    };
    if let Some(cause) = attempt.cause {
        line("");
        line(t!("WHAT IS WRONG"));
        line(&format!("{}: {}", tell(cause.label()), tell(cause.sentence_for(page.detail.format))));
        if !page.detail.note.is_empty() {
            line(&reworded(&page.detail.note));
        }
        for (name, value) in [
            (t!("Receipt found:      "), &page.detail.found),
            (t!("Hash we expected:   "), &page.detail.expected),
            (t!("Text that is hashed:"), &page.detail.source),
        ] {
            if !value.is_empty() {
                line(&format!("{name} {value}"));
            }
        }
        line("");
        line(t!("WHAT TO DO"));
        line(tell(cause.cure_for(page.detail.format)));
    }
    if !head.is_empty() {
        line("");
        line(t!("HOW TO REPRODUCE"));
        line(t!("The same request again, signature included; your script may take it for a new message:"));
        line("");
        line(&curl::command(&url, &head, body(page)));
    }
    // Text of strangers must not turn the lines of a mail or a terminal.
    text.chars().map(|letter| if is_unsafe(letter) { '\u{fffd}' } else { letter }).collect()
}

/// The URL of then, or of now where that was not kept.
pub fn address(page: &AttemptPage) -> String {
    if page.detail.url.is_empty() { page.delivery.url.clone() } else { page.detail.url.clone() }
}

/// The body that a command has to send.
pub fn body(page: &AttemptPage) -> curl::Body<'_> {
    page.request_base64.as_deref().map_or(curl::Body::Text(&page.request_body), curl::Body::Base64)
}

/// The same head with the values of headers that carry secrets left out.
pub fn without_secrets(head: &str) -> String {
    let hidden = |line: &str| match line.split_once(':') {
        Some((name, _)) if SECRET_HEADERS.iter().any(|part| name.to_ascii_lowercase().contains(part)) => {
            t!("{name}: (left out)", name)
        }
        _ => line.to_owned(),
    };
    head.lines().map(|line| hidden(line) + "\r\n").collect()
}

fn one_line(text: &str) -> String {
    shortened(&text.replace(['\r', '\n'], " "), 200)
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

/// Control characters, and marks that turn the direction of writing.
fn is_unsafe(letter: char) -> bool {
    (letter.is_control() && !matches!(letter, '\n' | '\t' | '\r'))
        || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_with_secrets_are_left_out() {
        let head =
            "POST / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic eHh4\r\nX-Shop-Token: t0p\r\nSet-Cookie: id=5\r\nAccept: */*\r\n";
        let shown = without_secrets(head);
        assert_eq!(
            shown,
            "POST / HTTP/1.1\r\nHost: a\r\nAuthorization: (left out)\r\nX-Shop-Token: (left out)\r\nSet-Cookie: (left out)\r\nAccept: */*\r\n"
        );
    }

    #[test]
    fn nothing_turns_the_lines() {
        assert!(is_unsafe('\u{202e}') && is_unsafe('\u{1b}') && is_unsafe('\u{2067}'));
        assert!(!is_unsafe('\n') && !is_unsafe('ا') && !is_unsafe('ế'));
        assert_eq!(one_line("a\r\nb"), "a  b");
    }
}
