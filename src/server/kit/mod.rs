//! The receiver kit: listeners for merchants' own servers, ready to be run, one file for each language.
//!
//! The templates are whole programs and lie beside this file; the tests run each against real messages (tests/it/kit.rs). Only
//! the algorithm is put into those for the 2Checkout form (`listener.*`); those for JSON (`webhook.*`) are as they are. They read
//! the secret from their environment, so that no page shows it. Must not live here: which URL they are for, who may see them.

use crate::domain::Algorithm;

/// A language that there are listeners in: one for the 2Checkout form, and one for JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    Php,
    Node,
    Python,
    Ruby,
    Java,
    CSharp,
    Go,
    Rust,
}

impl Language {
    /// All of them, in the order of the page.
    pub const ALL: [Self; 8] = [Self::Php, Self::Node, Self::Python, Self::Ruby, Self::Java, Self::CSharp, Self::Go, Self::Rust];

    /// The name in addresses.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Php => "php",
            Self::Node => "node",
            Self::Python => "python",
            Self::Ruby => "ruby",
            Self::Java => "java",
            Self::CSharp => "csharp",
            Self::Go => "go",
            Self::Rust => "rust",
        }
    }

    /// The language of a name.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.code() == code)
    }

    /// The name on the page.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Php => "PHP",
            Self::Node => "Node.js",
            Self::Python => "Python",
            Self::Ruby => "Ruby",
            Self::Java => "Java",
            Self::CSharp => "C#",
            Self::Go => "Go",
            Self::Rust => "Rust",
        }
    }

    /// What to save the listener for the 2Checkout form as.
    pub const fn file(self) -> &'static str {
        match self {
            Self::Php => "listener.php",
            Self::Node => "listener.mjs",
            Self::Python => "listener.py",
            Self::Ruby => "config.ru",
            Self::Java => "Listener.java",
            Self::CSharp => "Program.cs",
            Self::Go => "listener.go",
            Self::Rust => "listener.rs",
        }
    }

    /// Whether the tests run them. There is no package of .NET in Debian, so those in C# are only read and compared.
    pub const fn is_run_in_tests(self) -> bool {
        !matches!(self, Self::CSharp)
    }

    const fn template(self) -> &'static str {
        match self {
            Self::Php => include_str!("templates/listener.php"),
            Self::Node => include_str!("templates/listener.mjs"),
            Self::Python => include_str!("templates/listener.py"),
            Self::Ruby => include_str!("templates/config.ru"),
            Self::Java => include_str!("templates/Listener.java"),
            Self::CSharp => include_str!("templates/Listener.cs"),
            Self::Go => include_str!("templates/listener.go"),
            Self::Rust => include_str!("templates/listener.rs"),
        }
    }

    /// The line that chooses the algorithm, up to its name.
    const fn choice(self) -> &'static str {
        match self {
            Self::Php => "const ALGORITHM = '",
            Self::Node => "const ALGORITHM = \"",
            Self::Python | Self::Ruby => "ALGORITHM = \"",
            Self::Java => "static final String ALGORITHM = \"",
            Self::CSharp => "const string Algorithm = \"",
            Self::Go => "const algorithm = \"",
            Self::Rust => "const ALGORITHM: &str = \"",
        }
    }

    /// What to save the listener for messages that leave as JSON as, and its text.
    pub const fn webhook(self) -> (&'static str, &'static str) {
        match self {
            Self::Php => ("webhook.php", include_str!("templates/webhook.php")),
            Self::Node => ("webhook.mjs", include_str!("templates/webhook.mjs")),
            Self::Python => ("webhook.py", include_str!("templates/webhook.py")),
            Self::Ruby => ("webhook.ru", include_str!("templates/webhook.ru")),
            Self::Java => ("Webhook.java", include_str!("templates/Webhook.java")),
            // A project has one file that begins without a class, and a new one has it under this name.
            Self::CSharp => ("Program.cs", include_str!("templates/Webhook.cs")),
            Self::Go => ("webhook.go", include_str!("templates/webhook.go")),
            Self::Rust => ("webhook.rs", include_str!("templates/webhook.rs")),
        }
    }

    /// The listener with an algorithm put in.
    pub fn listener(self, algorithm: Algorithm) -> String {
        let name = match algorithm {
            Algorithm::Md5 => "md5",
            Algorithm::Sha2 => "sha256",
            Algorithm::Sha3 => "sha3-256",
        };
        let choice = self.choice();
        self.template().replacen(&format!("{choice}md5"), &format!("{choice}{name}"), 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What compares two signatures so that the time that it takes tells nothing of them.
    const fn constant_time(language: Language) -> &'static str {
        match language {
            Language::Php => "hash_equals",
            Language::Node => "timingSafeEqual",
            Language::Python => "compare_digest",
            Language::Ruby => "secure_compare",
            Language::Java => "MessageDigest.isEqual",
            Language::CSharp => "FixedTimeEquals",
            Language::Go => "hmac.Equal",
            Language::Rust => "verify_slice",
        }
    }

    #[test]
    fn the_algorithm_stands_in_every_listener_once() {
        for language in Language::ALL {
            assert_eq!(Language::from_code(language.code()), Some(language));
            let line = |name: &str| format!("{}{name}", language.choice());
            assert_eq!(language.template().matches(language.choice()).count(), 1, "{language:?}");
            for (algorithm, name) in [(Algorithm::Md5, "md5"), (Algorithm::Sha2, "sha256"), (Algorithm::Sha3, "sha3-256")] {
                assert!(language.listener(algorithm).contains(&line(name)), "{language:?} {name}");
            }
        }
    }

    #[test]
    fn every_listener_for_json_keeps_the_rules() {
        for language in Language::ALL {
            let text = language.webhook().1;
            let age = match language {
                Language::CSharp => "MaxAge = 300;",
                Language::Go => "maxAge = 300 ",
                Language::Rust => "MAX_AGE: u64 = 300;",
                _ => "MAX_AGE = 300",
            };
            let needed = ["WEBHOOK_SECRET", "WEBHOOK_SECRET_OLD", "WEBHOOK_STORE", age, "whsec_", "GET", constant_time(language)];
            for needed in needed {
                assert!(text.contains(needed), "{language:?} has no {needed}");
            }
            let (stored, answered) = match language {
                Language::Php => ("    store(hash(", "answer(204)"),
                Language::Node => ("await store(", "[204,"),
                Language::Python => ("    store(hashlib", "\"204 "),
                Language::Ruby => ("  store(OpenSSL", "[204,"),
                Language::Java => ("        store(HexFormat", "Answer(204,"),
                Language::CSharp => ("        Store(Convert", "Results.NoContent()"),
                Language::Go => ("= keep(hex", "http.StatusNoContent"),
                Language::Rust => ("    store(&settings.store", "Ok(true)\n}"),
            };
            assert!(text.find(stored).unwrap() < text.find(answered).unwrap(), "{language:?} answers before it has stored");
            assert!(text.lines().all(|line| line.len() <= 170), "{language:?}");
        }
    }

    #[test]
    fn every_listener_keeps_the_rules() {
        for language in Language::ALL {
            let text = language.template();
            for needed in ["IPN_SECRET_KEY", "IPN_SECRET_KEY_OLD", "IPN_STORE", "SIGNATURE_SHA3_256", "EPAYMENT", "GET"] {
                assert!(text.contains(needed), "{language:?} has no {needed}");
            }
            assert!(text.contains(constant_time(language)), "{language:?} does not compare in constant time");
            let (stored, answered) = match language {
                Language::CSharp => ("Store(Hex", "<EPAYMENT>"),
                Language::Go => ("keep(hex", "<EPAYMENT>"),
                Language::Rust => ("store(&settings.store", "<EPAYMENT>"),
                Language::Php => ("store(hash(", "<EPAYMENT>"),
                Language::Node => ("await store(", "<EPAYMENT>"),
                Language::Python => ("store(hashlib", "<EPAYMENT>"),
                Language::Ruby => ("store(OpenSSL", "<EPAYMENT>"),
                Language::Java => ("store(HexFormat", "<EPAYMENT>"),
            };
            assert!(text.find(stored).unwrap() < text.find(answered).unwrap(), "{language:?} answers before it has stored");
            assert!(text.lines().all(|line| line.len() <= 170), "{language:?}");
        }
    }
}
