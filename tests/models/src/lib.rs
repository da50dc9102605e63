//! What cannot be tested by trying: every order of execution, and every order of events. `make models` explores both.
//!
//! - `lock_free`: the hand-written atomics, with loom, which wants `--cfg onrush_loom`.
//! - `protocol`: who may let Redis decide again, and what must be known first, with stateright. See `docs/protocol.md`.

#[cfg(onrush_loom)]
mod lock_free;
#[cfg(not(onrush_loom))]
mod protocol;
