//! The command that sends a request again, for whoever looks for the fault on the receiving side. Pure.

use std::fmt::Write as _;

/// What a request carried.
#[derive(Debug, Clone, Copy)]
pub enum Body<'a> {
    Text(&'a str),
    /// Bytes that are no text.
    Base64(&'a str),
}

/// A line for a POSIX shell that sends the same bytes to the same address: method, headers and body as they were sent.
pub fn command(url: &str, head: &str, body: Body<'_>) -> String {
    let mut lines = head.lines();
    let mut asked = lines.next().unwrap_or_default().split(' ');
    let method = asked.next().filter(|method| !method.is_empty()).unwrap_or("POST");
    // A message that is passed through as a GET lies in what was asked for, and not in the address alone.
    let asked_for = asked.next().filter(|path| path.starts_with('/'));
    let url = asked_for.map_or_else(|| url.to_owned(), |path| format!("{}{path}", origin(url)));
    // Brackets and braces in the address would be read as a pattern otherwise.
    // What no argument of a command can hold comes through a pipe.
    let mut command = match body {
        Body::Base64(body) => format!("printf %s {} | base64 --decode |\n", quoted(body)),
        Body::Text(_) => String::new(),
    };
    let _ = write!(command, "curl --include --globoff --request {}", quoted(method));
    for header in lines.filter(|line| !line.is_empty()) {
        let name = header.split(':').next().unwrap_or_default();
        // curl sets these by itself.
        if !["host", "content-length"].contains(&name.to_ascii_lowercase().as_str()) {
            let _ = write!(command, " \\\n  --header {}", quoted(header));
        }
    }
    match body {
        Body::Text("") => {}
        Body::Text(body) => {
            let _ = write!(command, " \\\n  --data-raw {}", quoted(body));
        }
        Body::Base64(_) => command.push_str(" \\\n  --data-binary @-"),
    }
    // Shows an answer as text whichever compression was asked for above.
    let _ = write!(command, " \\\n  --compressed \\\n  {}", quoted(&url));
    command
}

/// An address up to its path.
fn origin(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    &url[..end]
}

/// A word that a shell takes as it is.
fn quoted(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-._/:".contains(letter);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    /// The words that a shell makes of a line, without running it.
    fn words(line: &str) -> Vec<String> {
        let script = format!("set -- {line}\nfor word; do printf '%s\\0' \"$word\"; done");
        let output = Command::new("sh").arg("-c").arg(script).output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.split_terminator('\0').map(str::to_owned).collect()
    }

    #[test]
    fn a_message_in_the_query_goes_along() {
        let head = "GET /ipn?shop=1&vnp_Amount=100&vnp_Name=a%20b HTTP/1.1\r\nHost: shop.example:8443\r\n";
        let line = command("https://shop.example:8443/ipn?shop=1", head, Body::Text(""));
        assert!(line.ends_with("'https://shop.example:8443/ipn?shop=1&vnp_Amount=100&vnp_Name=a%20b'"), "{line}");
        assert!(line.contains("--request GET") && !line.contains("--data"), "{line}");
        let bare = command("http://shop.example", "POST / HTTP/2\r\n", Body::Text("A=1"));
        assert!(bare.ends_with("http://shop.example/"), "{bare}");
    }

    #[test]
    fn the_request_as_it_was_sent() {
        let head = "POST /ipn?a=[1] HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: Quittance/1 (it's)\r\nContent-Length: 3\r\n";
        let line = command("https://shop.example/ipn?a=[1]", head, Body::Text("A=1&B=%27"));
        assert_eq!(
            words(&line),
            [
                "curl",
                "--include",
                "--globoff",
                "--request",
                "POST",
                "--header",
                "User-Agent: Quittance/1 (it's)",
                "--data-raw",
                "A=1&B=%27",
                "--compressed",
                "https://shop.example/ipn?a=[1]",
            ]
        );
    }

    #[test]
    fn bytes_that_are_no_text_come_through_a_pipe() {
        let line = command("http://shop.example/", "POST / HTTP/1.1\r\n", Body::Base64("/wD+Cg=="));
        // In place of curl what shows the bytes that it would be given.
        let (pipe, curl) = line.split_once("|\ncurl ").unwrap();
        let output = Command::new("sh").arg("-c").arg(format!("{pipe}| od -An -tx1")).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "ff 00 fe 0a");
        assert!(curl.contains("--data-binary @-") && !curl.contains("--data-raw"), "{line}");
    }

    #[test]
    fn nothing_in_a_request_can_leave_its_quotes() {
        for text in
            ["'", "'; rm -rf /; '", "$(id)", "`id`", "\\", "a\nb", "\"", "!x", "*", "~", "", " ", "\t", "#", "'\\''", "-x"]
        {
            assert_eq!(words(&quoted(text)), [text], "{text:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn whatever_was_sent_comes_back_as_it_was(body in "[^\0]{1,80}", header in "[A-Z][a-z]{1,8}: [^\0\r\n]{0,40}", path in "[!-~]{0,40}") {
            let url = format!("http://shop.example/{path}");
            let words = words(&command(&url, &format!("POST /{path} HTTP/1.1\r\n{header}\r\n"), Body::Text(&body)));
            prop_assert_eq!(words.last(), Some(&url));
            let place = words.iter().position(|word| word == "--data-raw").unwrap();
            prop_assert_eq!(&words[place + 1], &body);
            let is_set_by_curl = header.starts_with("Host:");
            prop_assert!(is_set_by_curl || words.contains(&header));
        }
    }
}
