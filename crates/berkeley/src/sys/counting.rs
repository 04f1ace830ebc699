//! An allocator that counts, for tests, those of the reactor too: what is done for each message
//! shall allocate nothing.
#![expect(unsafe_code, reason = "an allocator that counts and passes on")]

use core::cell::Cell;
use std::alloc::{GlobalAlloc, Layout, System};

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
    static HELD: Cell<usize> = const { Cell::new(0) };
    static TAKEN: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: everything is passed on to the system's allocator, as it came; counting touches plain
// numbers of the thread's own, which allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        HELD.set(HELD.get().wrapping_add(layout.size()));
        TAKEN.set(TAKEN.get().wrapping_add(layout.size()));
        // SAFETY: the caller's promises are those of this function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        HELD.set(HELD.get().wrapping_sub(layout.size()));
        // SAFETY: as above; the memory came from there.
        unsafe { System.dealloc(place, layout) };
    }
}

/// How often `call` has allocated in this thread.
pub(crate) fn count(call: impl FnOnce()) -> usize {
    let before = COUNT.get();
    call();
    COUNT.get() - before
}

/// How many bytes this thread has got by `call` and not given back.
pub(crate) fn held(call: impl FnOnce()) -> isize {
    let before = HELD.get();
    call();
    HELD.get().wrapping_sub(before).cast_signed()
}

/// How many bytes this thread has got by `call`, whether it has given them back or not.
#[allow(
    dead_code,
    reason = "each program of tests has this and needs a part of it"
)]
pub(crate) fn taken(call: impl FnOnce()) -> usize {
    let before = TAKEN.get();
    call();
    TAKEN.get().wrapping_sub(before)
}
