//! The house as it is built: which room imports which, and a trap of the renderer that the source must not step into.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Which room may import which. A row of docs/ARCHITECTURE.md each; `server/` is left out of the names of its rooms.
const TABLE: &[(&str, &[&str])] = &[
    ("words", &[]),
    ("domain", &["words"]),
    ("ui", &["rpc", "domain", "words"]),
    ("rpc", &["service", "store", "auth", "domain", "words"]),
    ("clock", &["domain"]),
    ("ipn", &["domain"]),
    ("store", &["clock", "telemetry", "domain"]),
    ("live", &["store", "domain"]),
    ("auth", &["store", "memory", "domain"]),
    ("gateway", &["ipn", "domain"]),
    ("listener", &["gateway", "store", "clock", "telemetry", "domain"]),
    ("dispatch", &["gateway", "ipn", "store", "clock", "telemetry", "domain"]),
    ("kit", &["domain"]),
    ("mail", &["store", "clock", "domain"]),
    (
        "service",
        &["dispatch", "auth", "gateway", "listener", "ipn", "kit", "mail", "store", "clock", "telemetry", "domain", "words"],
    ),
    ("alerts", &["service"]),
    ("http", &["ui", "rpc", "listener", "live", "auth", "service", "store", "telemetry", "domain", "words"]),
    ("settings", &["dispatch", "mail", "store", "clock"]),
    ("telemetry", &["domain"]),
    ("memory", &[]),
    ("bulk", &["store"]),
    ("confirm", &["dispatch", "gateway", "store", "clock", "domain"]),
    ("retention", &["settings", "store", "clock", "domain"]),
    ("balance", &["store", "clock", "telemetry", "domain"]),
    (
        "app",
        &[
            "http",
            "dispatch",
            "gateway",
            "live",
            "mail",
            "service",
            "retention",
            "balance",
            "bulk",
            "confirm",
            "alerts",
            "auth",
            "settings",
            "store",
            "telemetry",
            "memory",
        ],
    ),
    ("demo", &["app", "service", "dispatch", "gateway", "ipn", "store", "clock", "domain"]),
    (
        "cli",
        &["demo", "app", "service", "dispatch", "gateway", "auth", "mail", "settings", "telemetry", "store", "clock", "domain"],
    ),
    ("main", &["cli"]),
];

/// Imports that the table does not allow, each with its reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("server/store/identity.rs", "ipn", "what 2Checkout signed of a form tells which message it is"),
    ("rpc/people.rs", "http", "the functions that begin and end a session set and remove its cookie"),
];

/// A file of the source with its path below `src`.
struct Source {
    path: PathBuf,
    text: String,
}

fn sources() -> Vec<Source> {
    fn walk(folder: &Path, root: &Path, found: &mut Vec<Source>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = without_comments(&fs::read_to_string(&path).unwrap());
                found.push(Source { path: path.strip_prefix(root).unwrap().to_owned(), text });
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &root, &mut found);
    assert!(found.len() > 80);
    found
}

fn without_comments(text: &str) -> String {
    text.lines().map(|line| line.split_once("//").map_or(line, |(code, _)| code)).collect::<Vec<_>>().join("\n")
}

impl Source {
    /// The modules that this file is, from the outermost: `server`, `http`, `cookies`.
    fn modules(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.path.with_extension("").iter().map(|name| name.to_string_lossy().into_owned()).collect();
        if names.last().is_some_and(|name| name == "mod") {
            names.pop();
        }
        names
    }

    fn room(&self) -> Option<String> {
        room_of(&self.modules())
    }
}

/// The room that a path of modules leads into; none where it leads to the outermost file itself.
fn room_of(modules: &[String]) -> Option<String> {
    match modules {
        [first, rest @ ..] if first == "server" => rest.first().cloned(),
        [first, ..] if first == "lib" => None,
        [first, ..] => Some(first.clone()),
        [] => None,
    }
}

/// All paths of a use tree: `a::{b::c, d}` is `a::b::c` and `a::d`. Also reads plain paths in code.
fn paths(tree: &str, before: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let mut path = before.to_vec();
    let mut at = 0;
    loop {
        let rest = &tree[at..];
        let space = rest.len() - rest.trim_start().len();
        let rest = &tree[at + space..];
        if rest.starts_with('{') {
            at += space + 1;
            loop {
                at += paths(&tree[at..], &path, found);
                let rest = tree[at..].trim_start();
                at = tree.len() - rest.len() + 1;
                if rest.starts_with('}') || rest.is_empty() {
                    return at.min(tree.len());
                }
                if tree[at..].trim_start().starts_with('}') {
                    at = tree.len() - tree[at..].trim_start().len() + 1;
                    return at;
                }
            }
        }
        let length = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(rest.len());
        if length == 0 {
            found.push(path);
            // `*`, or a path that ends with `::<`.
            return at + space + usize::from(rest.starts_with('*'));
        }
        path.push(rest[..length].to_owned());
        at += space + length;
        if !tree[at..].starts_with("::") {
            found.push(path);
            let alias = tree[at..].trim_start();
            if let Some(name) = alias.strip_prefix("as ") {
                let end = name.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(name.len());
                at = tree.len() - name.len() + end;
            }
            return at;
        }
        at += 2;
    }
}

/// The rooms that a file names, by `crate::` or by climbing out with `super::`.
fn imports(source: &Source) -> BTreeSet<String> {
    let modules = source.modules();
    let inner_tests = source.text.find("mod tests {").unwrap_or(usize::MAX);
    let mut rooms = BTreeSet::new();
    // The program names the library by its name.
    for start in ["crate", "super", "quittance"] {
        for (at, _) in source.text.match_indices(&format!("{start}::")) {
            let whole_word =
                !source.text[..at].ends_with(|letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':');
            if !whole_word {
                continue;
            }
            let mut found = Vec::new();
            paths(&source.text[at..], &[], &mut found);
            for path in found {
                let climbs = path.iter().take_while(|name| *name == "super").count();
                let here = modules.len() + usize::from(at > inner_tests);
                let base = if start != "super" {
                    Vec::new()
                } else {
                    modules[..here.saturating_sub(climbs).min(modules.len())].to_vec()
                };
                let skip = if start != "super" { 1 } else { climbs };
                let full: Vec<String> = base.into_iter().chain(path[skip..].iter().cloned()).collect();
                rooms.extend(room_of(&full).filter(|room| TABLE.iter().any(|(known, _)| known == room)));
            }
        }
    }
    rooms
}

#[test]
fn each_room_imports_only_what_the_table_allows() {
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    for source in sources() {
        let Some(room) = source.room() else { continue };
        let Some((_, allowed)) = TABLE.iter().find(|(known, _)| *known == room) else {
            if source.path.as_os_str() != "lib.rs" && source.path != Path::new("server/mod.rs") {
                wrong.push(format!("{} is in a room that the table does not know", source.path.display()));
            }
            continue;
        };
        for imported in imports(&source) {
            if imported == room || allowed.contains(&imported.as_str()) {
                used.insert((room.clone(), imported));
                continue;
            }
            let path = source.path.to_string_lossy().into_owned();
            match EXCEPTIONS.iter().find(|(file, to, _)| *file == path && *to == imported) {
                Some((file, ..)) => used.extend([((*file).to_owned(), imported)]),
                None => wrong.push(format!("{path} imports {imported}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for (file, to, reason) in EXCEPTIONS {
        assert!(used.contains(&((*file).to_owned(), (*to).to_owned())), "an exception that is not needed: {file}, {reason}");
    }
    let spare: Vec<_> = TABLE
        .iter()
        .flat_map(|(room, allowed)| allowed.iter().map(move |to| ((*room).to_owned(), (*to).to_owned())))
        .filter(|pair| !used.contains(pair))
        .collect();
    assert!(spare.is_empty(), "allowed, but not needed: {spare:?}");
}

#[test]
fn nothing_goes_in_a_circle() {
    // A room is removed once all that it may import is; a circle stays for ever.
    let mut left: Vec<_> = TABLE.to_vec();
    loop {
        let free: Vec<&str> = left
            .iter()
            .filter(|(_, imports)| imports.iter().all(|to| left.iter().all(|(room, _)| room != to)))
            .map(|(room, _)| *room)
            .collect();
        if free.is_empty() {
            break;
        }
        left.retain(|(room, _)| !free.contains(room));
    }
    let rooms: Vec<_> = left.iter().map(|(room, _)| *room).collect();
    assert_eq!(rooms, [] as [&str; 0], "these import each other");
}

#[test]
fn use_trees_are_read() {
    let read = |text: &str| {
        let source = Source { path: "server/http/live.rs".into(), text: text.to_owned() };
        imports(&source).into_iter().collect::<Vec<_>>()
    };
    assert_eq!(
        read("use crate::{domain::{A, b::C}, rpc::D, server::{auth::{self, E}, live::F}};"),
        ["auth", "domain", "live", "rpc"]
    );
    assert_eq!(read("let x = crate::server::store::random::<4>();"), ["store"]);
    assert_eq!(read("use super::{Panel, cookies::x}; use super::super::clock::Clock as C;"), ["clock", "http"]);
    assert_eq!(read("use supercrate::server::store; let a = not_crate::x;"), [] as [&str; 0]);
}

/// The renderer does not escape the children of a textarea on the server, so everything that goes into one goes through
/// the one component that does.
#[test]
fn only_one_component_writes_a_textarea() {
    for source in sources().iter().filter(|source| source.path.starts_with("ui")) {
        let is_component = source.path.ends_with("text_area.rs");
        assert!(is_component || !source.text.contains("<textarea"), "{}", source.path.display());
    }
}

/// Nobody sets HTML that was not escaped.
#[test]
fn no_page_sets_raw_html() {
    for source in sources().iter().filter(|source| source.path.starts_with("ui")) {
        for word in ["inner_html", "set_inner_html", "insert_adjacent_html", "document.write"] {
            assert!(!source.text.contains(word), "{}: {word}", source.path.display());
        }
    }
}
