//! The name of a merchant in addresses of pages.

use deunicode::deunicode;

/// Longest name in an address, in characters, without the number that tells equal ones apart.
const MAX_SLUG: usize = 40;

/// Letters and digits of a name with hyphens between; other alphabets are spelled in Latin letters.
pub(super) fn slug(name: &str) -> String {
    let latin = deunicode(name).to_lowercase();
    let words: Vec<&str> = latin.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let joined: String = words.join("-").chars().take(MAX_SLUG).collect();
    match joined.trim_end_matches('-') {
        "" => "merchant".to_owned(),
        slug => slug.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::slug;

    #[test]
    fn names_of_many_languages_are_readable_in_addresses() {
        for (name, expected) in [
            ("Łódź Shop", "lodz-shop"),
            ("Cửa hàng Đà Nẵng", "cua-hang-da-nang"),
            ("Книги", "knigi"),
            ("  --  ", "merchant"),
            ("a & b", "a-b"),
        ] {
            assert_eq!(slug(name), expected);
        }
        assert_eq!(slug(&format!("{} b", "a".repeat(39))), "a".repeat(39), "no hyphen at the end");
    }
}
