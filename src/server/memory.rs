//! Taking little memory, and giving it back to the machine.

/// Lets this process take memory by the page. By default the allocator asks for huge pages, of which each thread's first
/// few bytes take two megabytes: twenty in all, for a server that needs five.
pub fn stay_small() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "huge pages stay on");
    }
}

/// Returns what this thread has freed. The allocator does so by itself only while it is busy; after a rare, large use
/// (starting, hashing a password) it would keep the memory for good.
#[expect(unsafe_code, reason = "the allocator offers no safe way; the call has no preconditions")]
pub fn give_back() {
    // SAFETY: mi_collect may be called at any time from any thread, also where another allocator is the global one.
    unsafe { libmimalloc_sys::mi_collect(true) }
}
