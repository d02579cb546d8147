//! HTTP for everybody: the accept loop, the router, headers, assets.

pub mod cookies;
pub mod serve;
