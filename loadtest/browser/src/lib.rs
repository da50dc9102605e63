//! The visitors' page of a waiting room, in a real Chromium: what it shows, and pictures of it.
//!
//! - [`installation`]: nodes of its own, in the stores that are given.
//! - [`browser`]: a fresh Chromium, and what can be done in it.
//! - [`tour`]: a visitor's way through the waiting room.

pub mod browser;
pub mod installation;
pub mod tour;
