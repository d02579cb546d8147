//! The message for whoever looks after the script: what was sent, when, to where, what came back, what is wrong, how to
//! reproduce it. Plain text without secrets. Pure.

use super::curl;
use crate::{
    domain::{Format, pages::orders::AttemptPage},
    ui::format::{bytes, date_time, shortened, span},
};
use std::fmt::Write as _;

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
    let verdict = attempt.cause.map_or("was confirmed", |_| "was not confirmed");
    let _ = writeln!(text, "The payment notification of order {} {verdict}\n", one_line(&page.reference));
    let _ = writeln!(text, "WHAT WAS SENT");
    let sent = bytes(u64::try_from(page.request_body.len()).unwrap_or(u64::MAX));
    let status = one_line(&page.vendor_status);
    let method = page.request_head.split(' ').next().filter(|method| !method.is_empty()).unwrap_or("POST");
    let _ = match page.detail.format {
        Format::Ipn => writeln!(text, "An IPN with the status {status}, {sent}, as POST."),
        Format::Json => {
            writeln!(text, "A notification as JSON, signed by Standard Webhooks, with the status {status}, {sent}, as POST.")
        }
        Format::PassThrough => {
            writeln!(text, "The gateway's own message, passed through, with the status {status}, {sent}, as {method}.")
        }
    };
    let _ = writeln!(text, "To:       {url}");
    if let Some(address) = &attempt.address {
        let _ = writeln!(text, "Address:  {address}");
    }
    let _ = writeln!(text, "When:     {} UTC", date_time(attempt.started_at));
    let _ = writeln!(text, "Delivery: {}, attempt {}", page.delivery.id, attempt.number);
    text.push_str("\nWHAT CAME BACK\n");
    if page.answer_head.is_empty() {
        let _ = writeln!(text, "No answer; it ended after {}.", span(attempt.timings.total));
    } else {
        let _ = writeln!(text, "After {}:\n", span(attempt.timings.total));
        text.push_str(&indented(&without_secrets(&page.answer_head)));
        text.push_str("    \n");
        let body =
            if page.answer_body.is_empty() { "(empty body)".to_owned() } else { shortened(&page.answer_body, MOST_ANSWER) };
        text.push_str(&indented(&body));
    }
    if let Some(cause) = attempt.cause {
        text.push_str("\nWHAT IS WRONG\n");
        let _ = writeln!(text, "{}: {}", cause.label(), cause.sentence_for(page.detail.format));
        if !page.detail.note.is_empty() {
            let _ = writeln!(text, "{}", page.detail.note);
        }
        for (name, value) in [
            ("Receipt found:      ", &page.detail.found),
            ("Hash we expected:   ", &page.detail.expected),
            ("Text that is hashed:", &page.detail.source),
        ] {
            if !value.is_empty() {
                let _ = writeln!(text, "{name} {value}");
            }
        }
        let _ = writeln!(text, "\nWHAT TO DO\n{}", cause.cure_for(page.detail.format));
    }
    if !head.is_empty() {
        text.push_str(
            "\nHOW TO REPRODUCE\nThe same request again, signature included; your script may take it for a new message:\n\n",
        );
        text.push_str(&curl::command(&url, &head, &page.request_body));
        text.push('\n');
    }
    // Text of strangers must not turn the lines of a mail or a terminal.
    text.chars().map(|letter| if is_unsafe(letter) { '\u{fffd}' } else { letter }).collect()
}

/// The URL of then, or of now where that was not kept.
pub fn address(page: &AttemptPage) -> String {
    if page.detail.url.is_empty() { page.delivery.url.clone() } else { page.detail.url.clone() }
}

/// The same head with the values of headers that carry secrets left out.
pub fn without_secrets(head: &str) -> String {
    let hidden = |line: &str| match line.split_once(':') {
        Some((name, _)) if SECRET_HEADERS.iter().any(|part| name.to_ascii_lowercase().contains(part)) => {
            format!("{name}: (left out)")
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
