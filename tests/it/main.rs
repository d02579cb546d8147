//! The one integration binary: the store's conformance suite, and the whole application over real HTTP.

mod causes;
mod delivery;
mod inbound;
mod live;
mod nodes;
mod outage;
mod pacing;
mod panel_guard;
mod process;
mod retry;
mod rooms;
mod statements;
mod store;
mod support;
mod wire;
