//! Which posts speak of this? An index in PostgreSQL over our own tokens, good at Korean.
//!
//! - Only what has passed and is as it was indexed is found: an edit, a rejection or a deletion takes effect when it is
//!   committed, before the index hears of it.
//! - One search is one statement, and its work has a limit: of what matches, the newest `candidates_max` are ranked.
//! - What comes after a page was there when the first page was read: pages have no post twice, and miss none.

mod characters;
mod document;
mod highlight;
mod index;
mod particles;
mod question;
mod searcher;
mod tokens;

pub use index::{put, remove, remove_above};
pub use searcher::{Cursor, Highlights, Hit, InvalidCursor, Page, SearchError, Searcher};
