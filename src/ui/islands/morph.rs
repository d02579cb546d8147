//! Changes a part of the document into a fresh copy of it, touching only what differs: what has the focus keeps it, an
//! open dialog stays open, what was typed stays typed.

use leptos::prelude::*;
use wasm_bindgen::JsCast as _;
use web_sys::{Element, Node};

/// Fields whose value makes two clicks on a form one act.
const KEYS: [&str; 2] = ["request_key", "form_key"];

/// Makes `old` equal to `new`, which is used up.
pub fn morph(old: &Element, new: &Element) {
    attributes(old, new);
    children(old, new);
}

fn attributes(old: &Element, new: &Element) {
    let names = |element: &Element| element.get_attribute_names().iter().filter_map(|name| name.as_string()).collect::<Vec<_>>();
    // The second click may come after another reading than the first.
    let keeps_value = is_key(old) && is_key(new);
    for name in names(new) {
        let fresh = new.get_attribute(&name);
        if keeps_value && name == "value" {
            continue;
        }
        if old.get_attribute(&name) != fresh {
            let _ = old.set_attribute(&name, &fresh.unwrap_or_default());
        }
    }
    for name in names(old) {
        // What the reader has opened stays open.
        if !new.has_attribute(&name) && name != "open" {
            let _ = old.remove_attribute(&name);
        }
    }
}

/// Whether an element is the key of a form.
fn is_key(element: &Element) -> bool {
    element.tag_name() == "INPUT" && element.get_attribute("name").is_some_and(|name| KEYS.contains(&name.as_str()))
}

fn children(old: &Element, new: &Element) {
    let mut place = old.first_child();
    let mut next = new.first_child();
    while let Some(fresh) = next {
        next = fresh.next_sibling();
        // An element with an id is looked for; rows move, and their state with them.
        if let Some(known) = known(old, &fresh)
            && place.as_ref().is_none_or(|place| !place.is_same_node(Some(&known)))
        {
            let _ = old.insert_before(&known, place.as_ref());
            place = Some(known);
        }
        match &place {
            Some(current) if fits(current, &fresh) => {
                match (current.dyn_ref::<Element>(), fresh.dyn_ref::<Element>()) {
                    (Some(current), Some(fresh)) => morph(current, fresh),
                    _ => {
                        if current.node_value() != fresh.node_value() {
                            current.set_node_value(fresh.node_value().as_deref());
                        }
                    }
                }
                place = current.next_sibling();
            }
            _ => {
                let _ = old.insert_before(&adopted(fresh), place.as_ref());
            }
        }
    }
    while let Some(rest) = place {
        place = rest.next_sibling();
        let _ = old.remove_child(&rest);
    }
}

/// The child of `old` that a fresh element is the new state of.
fn known(old: &Element, fresh: &Node) -> Option<Node> {
    let id = fresh.dyn_ref::<Element>()?.id();
    if id.is_empty() {
        return None;
    }
    let found = document().get_element_by_id(&id)?;
    found.parent_element().is_some_and(|parent| parent.is_same_node(Some(old))).then(|| found.unchecked_into())
}

/// Whether a node can be changed into another: the same kind, and not the states of two different things.
fn fits(current: &Node, fresh: &Node) -> bool {
    let id = |node: &Node| node.dyn_ref::<Element>().map(Element::id);
    current.node_type() == fresh.node_type() && current.node_name() == fresh.node_name() && id(current) == id(fresh)
}

fn adopted(fresh: Node) -> Node {
    document().adopt_node(&fresh).unwrap_or(fresh)
}
