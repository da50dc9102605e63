//! What a benchmark run found, as data, pictures and words.
//!
//! What measures fills a [`data::Run`] and calls [`write()`]; the program `report` draws it again from the data it left.
//! Numbers become marks in `scale`, marks become `svg` on a `canvas`, and each `picture` is drawn twice, for a wide screen
//! and for a phone. The pictures are drawn here and not by a library because they live inside a page that is light or dark
//! by its reader's wish: their colours are classes of one style sheet, which the plotting libraries do not write.

mod canvas;
mod check;
pub mod data;
mod folder;
mod html;
mod markdown;
mod number;
mod percentile;
mod picture;
mod plot;
mod scale;
mod sheet;
mod style;
mod svg;
mod words;

pub use folder::{read, write};
