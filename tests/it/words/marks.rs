//! Reading a page as somebody does, and what of it stands outside of the marks that the catalogue sets in a test.

use super::gateways;

/// A part of a page: what it stands in, and what it says.
#[derive(Debug)]
pub struct Said {
    place: String,
    text: String,
}

fn decoded(text: &str) -> String {
    let text =
        text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#x27;", "'").replace("&#39;", "'");
    text.replace("&nbsp;", "\u{a0}").replace("&amp;", "&")
}

/// What somebody can read of a page, in its order: text, and the attributes that are read. Elements that hold data alone are
/// left out.
pub fn readable(page: &str) -> Vec<Said> {
    let mut said = Vec::new();
    // Open elements that hide what they hold.
    let mut hidden: Option<(String, usize)> = None;
    let mut rest = page;
    while let Some(open) = rest.find('<') {
        let text = decoded(&rest[..open]);
        if hidden.is_none() && !text.trim().is_empty() {
            said.push(Said { place: "text".to_owned(), text });
        }
        rest = &rest[open..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.split_once("-->").unwrap().1;
            continue;
        }
        let end = end_of_tag(rest);
        let tag = &rest[1..end];
        rest = &rest[end + 1..];
        let closes = tag.starts_with('/');
        let name: String =
            tag.trim_start_matches('/').chars().take_while(|letter| letter.is_alphanumeric() || *letter == '-').collect();
        let is_empty = tag.ends_with('/') || matches!(name.as_str(), "input" | "meta" | "link" | "br" | "use" | "hr");
        if let Some((of, depth)) = &mut hidden {
            if *of == name && closes {
                *depth -= 1;
                if *depth == 0 {
                    hidden = None;
                }
            } else if *of == name && !is_empty {
                *depth += 1;
            }
            continue;
        }
        if closes {
            continue;
        }
        let attributes = attributes(tag);
        for (attribute, value) in &attributes {
            if matches!(attribute.as_str(), "title" | "aria-label" | "placeholder" | "alt" | "data-label")
                && !value.trim().is_empty()
            {
                said.push(Said { place: format!("{attribute} of {name}"), text: value.clone() });
            }
        }
        let class = attributes.iter().find(|(name, _)| name == "class").map(|(_, value)| value.as_str()).unwrap_or_default();
        let holds_data =
            class.split(' ').any(|class| matches!(class, "code" | "url" | "clip" | "zone" | "who" | "chip" | "axis" | "detail"));
        let is_data = matches!(
            name.as_str(),
            "script" | "style" | "pre" | "textarea" | "bdi" | "kbd" | "datalist" | "del" | "ins" | "code"
        ) || holds_data;
        if is_data && !is_empty {
            hidden = Some((name, 1));
        }
    }
    said
}

fn end_of_tag(text: &str) -> usize {
    let mut quoted = false;
    text.char_indices()
        .find(|(_, letter)| {
            quoted ^= *letter == '"';
            *letter == '>' && !quoted
        })
        .unwrap()
        .0
}

fn attributes(tag: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = tag.split_once(char::is_whitespace).map_or("", |(_, rest)| rest);
    while let Some((name, after)) = rest.split_once("=\"") {
        let (value, after) = after.split_once('"').unwrap();
        found.push((name.split_whitespace().last().unwrap_or_default().to_owned(), decoded(value)));
        rest = after;
    }
    found
}

/// What stands outside of all marks, in the order of a page.
pub fn outside(said: &[Said]) -> Vec<String> {
    let mut depth = 0_usize;
    let mut found = Vec::new();
    for Said { place, text } in said {
        let is_text = place == "text";
        let mut own = if is_text { depth } else { 0 };
        let mut open = String::new();
        for letter in text.chars() {
            match letter {
                '⟦' => own += 1,
                '⟧' => own = own.saturating_sub(1),
                letter if own == 0 => open.push(letter),
                _ => {}
            }
        }
        if is_text {
            depth = own;
        }
        if !is_data(&open) {
            found.push(format!("{place}: {:?}", open.trim()));
        }
    }
    found
}

/// Names that are nobody's words: products, gateways, algorithms, programming languages, tags, units, and what these tests call things.
const NAMES: &str = "Quittance Shop Other Main Further Held Failing Gone Shadow English Tiếng Việt CSV UTC URL Firefox Linux Europe Bucharest \
    Checkout LCN formerly Avangate Verifone IPN MD5 SHA2 SHA3 HMAC SHA Standard Webhooks Ed25519 RSA PHP Python Node js Go Java Rust Ruby C \
    ASP NET Kotlin Perl Elixir Bash TypeScript JavaScript Swift Dart dotnet csharp plain Express Flask Laravel ms kB MB min s h d k M B p50 p99 quittance test x \
    v1 v1a curl Host Content Type Node.js";

fn is_data(text: &str) -> bool {
    // Addresses, and what gateways are called.
    let text: Vec<&str> = text.split_whitespace().filter(|word| !word.contains("://")).collect();
    let mut text = text.join(" ");
    for label in gateways() {
        text = text.replace(label, "");
    }
    let text = text.replace("Second product; 10.00; 2", "");
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_' && letter != '@' && letter != '.').all(|word| {
        let is_letters = word.chars().any(char::is_alphabetic);
        let is_upper = word.chars().all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_');
        let has_digit = word.chars().any(|letter| letter.is_ascii_digit());
        !is_letters
            || is_upper
            || has_digit
            || word.contains('@')
            || word.contains("example")
            || NAMES.split_whitespace().any(|name| name == word.trim_matches('.'))
    })
}
