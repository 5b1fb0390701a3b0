//! What the conference holds of the heap.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static COUNTS: Cell<bool> = const { Cell::new(false) };
    static HELD: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

impl Counting {
    fn count(bytes: isize) {
        if COUNTS.get() {
            HELD.set(HELD.get() + bytes);
        }
    }
}

// SAFETY: every call is handed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count(layout.size() as isize);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        Self::count(-(layout.size() as isize));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Does something whose memory counts. What libraries in C allocate is not seen: the codecs of those who are decoded or have
/// a stream of their own.
pub(crate) fn counted<T>(act: impl FnOnce() -> T) -> T {
    COUNTS.set(true);
    let outcome = act();
    COUNTS.set(false);
    outcome
}

/// Bytes held by what was done so.
pub(crate) fn held() -> usize {
    HELD.get().unsigned_abs()
}

/// Begins to count anew.
pub(crate) fn forget() {
    HELD.set(0);
}
