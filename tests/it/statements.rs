//! Every statement that stands in the store's source is prepared by its engine, also those that no other test runs.

use crate::support::{postgres, stores};
use quittance::server::store::Address;
use sqlx::{AssertSqlSafe, Executor as _, SqlSafeStr as _};
use std::{collections::HashMap, fs, path::Path};

/// A piece of source text, as far as it matters here.
#[derive(Debug, Clone, PartialEq)]
enum Token {
    Text(String),
    Word(String),
    Sign(char),
}

/// Reads Rust into words, texts and signs; comments and characters are left out.
fn tokens(source: &str) -> Vec<Token> {
    let letters: Vec<char> = source.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < letters.len() {
        match letters[at] {
            '/' if letters.get(at + 1) == Some(&'/') => {
                while at < letters.len() && letters[at] != '\n' {
                    at += 1;
                }
            }
            '"' => {
                let mut text = String::new();
                at += 1;
                while letters[at] != '"' {
                    if letters[at] == '\\' {
                        at += 1;
                    }
                    text.push(letters[at]);
                    at += 1;
                }
                at += 1;
                tokens.push(Token::Text(text));
            }
            '\'' if letters.get(at + 1) == Some(&'\\') => at += 4,
            '\'' if letters.get(at + 2) == Some(&'\'') => at += 3,
            letter if letter.is_alphanumeric() || letter == '_' => {
                let start = at;
                while at < letters.len() && (letters[at].is_alphanumeric() || letters[at] == '_') {
                    at += 1;
                }
                tokens.push(Token::Word(letters[start..at].iter().collect()));
            }
            letter => {
                if !letter.is_whitespace() {
                    tokens.push(Token::Sign(letter));
                }
                at += 1;
            }
        }
    }
    tokens
}

/// The token after the bracket that closes the one at `open`.
fn after_group(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token {
            Token::Sign('(' | '{' | '[') => depth += 1,
            Token::Sign(')' | '}' | ']') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

/// The texts of a file, put together where `concat!` and small macros do.
fn texts(source: &str) -> Vec<String> {
    let all = tokens(source.split("#[cfg(test)]").next().unwrap());
    let mut macros: HashMap<String, String> = HashMap::new();
    let mut texts = Vec::new();
    let mut at = 0;
    while at < all.len() {
        match &all[at] {
            Token::Word(word) if word == "macro_rules" => {
                let Token::Word(name) = &all[at + 2] else { panic!("a macro without a name") };
                let end = after_group(&all, at + 3);
                let first = all[at..end].iter().find_map(|token| match token {
                    Token::Text(text) => Some(text.clone()),
                    _ => None,
                });
                macros.extend(first.map(|text| (name.clone(), text)));
                at = end;
            }
            Token::Word(word)
                if all.get(at + 1) == Some(&Token::Sign('!')) && (word == "concat" || macros.contains_key(word)) =>
            {
                let end = after_group(&all, at + 2);
                let mut whole = macros.get(word).cloned().unwrap_or_default();
                for token in &all[at + 2..end] {
                    match token {
                        Token::Text(text) => whole.push_str(text),
                        Token::Word(word) => whole.push_str(macros.get(word).map_or("", String::as_str)),
                        Token::Sign(_) => {}
                    }
                }
                texts.push(whole);
                at = end;
            }
            Token::Text(text) => {
                texts.push(text.clone());
                at += 1;
            }
            _ => at += 1,
        }
    }
    texts
}

/// The statements of an engine's folder, with the file that each stands in.
pub fn statements(engine: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/server/store").join(engine);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        for text in texts(&fs::read_to_string(&path).unwrap()) {
            let first = text.trim_start().trim_start_matches('(').split_whitespace().next().unwrap_or_default().to_owned();
            if ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "LOCK"].contains(&first.as_str()) && text.contains(' ') {
                found.push((name.clone(), text));
            }
        }
    }
    found
}

#[test]
fn statements_are_put_together() {
    let source = r#"
        macro_rules! columns { () => { "a, b" }; }
        macro_rules! select { ($condition:literal) => { concat!("SELECT x FROM t ", $condition) }; }
        fn f<'a>(c: char) { q(concat!("SELECT ", columns!(), " FROM t")); q(select!("WHERE y")); q("it's"); c == '"'; }
    "#;
    assert_eq!(texts(source), ["SELECT a, b FROM t", "SELECT x FROM t WHERE y", "it's"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_takes_every_statement() {
    let test = stores::postgres().await;
    let Address::Postgres(address) = &test.address else { panic!() };
    let name = address.to_string().rsplit('/').next().unwrap().to_owned();
    let mut conn = postgres::connect(&name).await;
    let statements = statements("postgres");
    assert!(statements.len() > 90, "{}", statements.len());
    let mut wrong = Vec::new();
    for (file, statement) in statements {
        if let Err(error) = conn.prepare(AssertSqlSafe(statement.clone()).into_sql_str()).await {
            wrong.push(format!("{file}: {error}\n{statement}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    test.store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_takes_every_statement() {
    let test = stores::sqlite().await;
    // The journal's file is the server's alone while it runs.
    test.store.close().await;
    let open = |name: &str| rusqlite::Connection::open(test.folder.path().join(name)).unwrap();
    let (ledger, journal) = (open("quittance.db"), open("quittance.intake"));
    let statements = statements("sqlite");
    assert!(statements.len() > 70, "{}", statements.len());
    let mut wrong = Vec::new();
    for (file, statement) in statements {
        if let Err(error) = ledger.prepare(&statement)
            && journal.prepare(&statement).is_err()
        {
            wrong.push(format!("{file}: {error}\n{statement}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
