//! The server functions, read from their source, so that a new one cannot be forgotten by the tests that walk them all.

use super::{browser::Browser, gateway::Reply};
use quittance::domain::role::Permission;
use std::{collections::HashMap, fs, path::Path};

/// How a server function is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// GET with a query: it reads.
    Query,
    /// POST with JSON: it reads, with more to say than fits a query.
    Json,
    /// POST with a form: it changes something.
    Form,
}

/// One server function.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The path after `/rpc/`.
    pub name: String,
    pub input: Input,
    pub arguments: Vec<String>,
    /// What a role must allow for it; nothing where every user may.
    pub permission: Option<Permission>,
}

/// Every server function under `src/rpc`.
pub fn all() -> Vec<Endpoint> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/rpc");
    let mut found = Vec::new();
    for file in fs::read_dir(folder).unwrap() {
        // So that only functions are marked so.
        let source = fs::read_to_string(file.unwrap().path()).unwrap().replace("#[server(default)]", "");
        for part in source.split("#[server(").skip(1) {
            let (attribute, rest) = part.split_once(")]").unwrap();
            let name = attribute.split("endpoint = \"").nth(1).unwrap().split('"').next().unwrap();
            let input = match attribute.split("input = ").nth(1) {
                None => Input::Form,
                Some("GetUrl") => Input::Query,
                Some("Json") => Input::Json,
                Some(other) => panic!("{name} takes {other}, which these tests do not know"),
            };
            let signature = rest.split_once("pub async fn ").unwrap().1.split_once(") -> ").unwrap().0;
            let signature = signature.split_once('(').unwrap().1;
            let arguments = signature
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .collect::<String>()
                .split(',')
                .filter_map(|argument| argument.split_once(':'))
                // A form repeats the field of a list under this name.
                .map(|(name, kind)| format!("{}{}", name.trim(), if kind.contains("Vec<") { "[]" } else { "" }))
                .collect();
            let asked = rest
                .split_once("Permission::")
                .map(|(_, asked)| asked.split(|letter: char| !letter.is_alphabetic()).next().unwrap());
            let permission = asked.map(|asked| {
                let known = Permission::ALL.into_iter().find(|permission| format!("{permission:?}") == asked);
                known.unwrap_or_else(|| panic!("{name} asks for {asked}, which the table does not know"))
            });
            found.push(Endpoint { name: name.to_owned(), input, arguments, permission });
        }
    }
    assert!(found.len() >= 20, "the server functions were not found");
    found
}

impl Endpoint {
    pub fn path(&self) -> String {
        format!("/rpc/{}", self.name)
    }

    pub fn takes(&self, argument: &str) -> bool {
        self.arguments.iter().any(|known| known == argument)
    }

    /// Its arguments with these values; a value for `name.argument` goes before one for the argument alone.
    pub fn fields<'a>(&'a self, values: &'a HashMap<String, String>) -> Vec<(&'a str, &'a str)> {
        let value = |argument: &'a String| {
            let own = values.get(&format!("{}.{argument}", self.name));
            let value = own.or_else(|| values.get(argument));
            value.unwrap_or_else(|| panic!("no value for {argument} of {}: teach it to this test", self.name)).as_str()
        };
        self.arguments.iter().map(|argument| (argument.as_str(), value(argument))).collect()
    }

    /// Calls it as an island does.
    pub async fn call(&self, browser: &mut Browser, values: &HashMap<String, String>) -> Reply {
        let fields = self.fields(values);
        match self.input {
            Input::Query => browser.call("GET", &self.path(), &fields).await,
            Input::Form => browser.call("POST", &self.path(), &fields).await,
            Input::Json => {
                let json = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| text.into());
                let body = fields.into_iter().map(|(name, value)| (name.to_owned(), json(value))).collect();
                browser.call_json(&self.path(), &serde_json::Value::Object(body)).await
            }
        }
    }
}
