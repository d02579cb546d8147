//! The pure rooms of Quittance, compiled for the fuzzer alone.
#![allow(dead_code, unused_imports, reason = "the fuzzer calls only what reads")]

#[path = "../../src/domain/mod.rs"]
pub mod domain;
pub mod server;
pub mod words;
