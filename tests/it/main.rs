//! The one integration binary: the store's conformance suite, and the whole application over real HTTP.

mod bulk;
mod bulk_store;
mod causes;
mod copy;
mod delivery;
mod doctor;
mod gateways;
mod inbound;
mod live;
mod metrics;
mod nodes;
mod outage;
mod pacing;
mod panel_guard;
mod process;
mod retry;
mod rooms;
mod standing;
mod statements;
mod store;
mod story;
mod story_store;
mod support;
mod wire;
