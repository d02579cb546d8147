//! The program `quittance`.

use std::process::ExitCode;

/// Messages are freed on other threads than they were made on, which the system's allocator pays for with locks.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    quittance::server::cli::run()
}
