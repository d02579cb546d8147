//! The parts that pages are put together from. All of them work in pages (server only) and in islands (both halves).
//!
//! Must not live here: anything that knows a particular page.

mod bytes;
mod choice;
mod conflict;
mod form;
mod icon;
mod parts;
mod personal;
mod standing;
mod states;
mod text_area;
mod time;

pub use bytes::{Fields, Long, Octets};
pub use choice::{RightBadge, Tick, TickGroup, TriggerChoice};
pub use conflict::{ConflictNote, ConflictTold, Version, changes, save_label};
pub use form::{AlgorithmChoice, Check, Confirm, FormNotes, Hidden, SelectField, TextField, first_wrong, note};
pub use icon::Icon;
pub use parts::{Address, Copy, Empty, Notice, Tone, WholeAddress, fact, wide};
pub use personal::{Masked, MaskedNote, Reveal, Revealed};
pub use standing::{HoldNote, PauseNote, WentNowhere};
pub use states::{DeliveryBadge, OrderBadge, PutRightBadge, ShadowBadge, StateBadge, Summary, TestBadge};
pub use text_area::{LongText, ReadArea, TextArea};
pub use time::{Ago, Moment, now, zone};
