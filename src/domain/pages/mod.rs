//! What pages and server exchange.
