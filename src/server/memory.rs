//! Giving memory back to the machine.

/// Returns what this thread has freed. The allocator does so by itself only while it is busy; after a rare, large use
/// (starting, hashing a password) it would keep the memory for good.
#[expect(unsafe_code, reason = "the allocator offers no safe way; the call has no preconditions")]
pub fn give_back() {
    // SAFETY: mi_collect may be called at any time from any thread, also where another allocator is the global one.
    unsafe { libmimalloc_sys::mi_collect(true) }
}
