//! What goes into the store and what comes out for the machinery. What pages read lives in `domain::pages`.
//!
//! `messages` are what came in, `work` what is to be delivered and what was tried, `drafts` what somebody sets, `books` what is
//! counted, `keeping` what retention and copies come to. Must not live here: how either engine keeps them.

mod books;
mod drafts;
mod keeping;
mod messages;
mod work;

pub use books::*;
pub use drafts::*;
pub use keeping::*;
pub use messages::*;
pub use work::*;
