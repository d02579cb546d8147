//! What is measured: one file a question. Each prints lines that docs/PERFORMANCE.md can quote.

pub mod acknowledge;
pub mod deliver;
pub mod neighbours;
pub mod outstanding;
pub mod pages;
pub mod retention;
pub mod search;
pub mod steady;
