//! What a section is to find out.

use report::data::Target;

/// A line of the report's first table, before anything is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promise {
    /// What is measured.
    pub name: &'static str,
    /// What is to be reached.
    pub target: &'static str,
}

impl Promise {
    /// What was found.
    #[must_use]
    pub fn judged(&self, figure: String, spread: String, met: bool) -> Target {
        Target { name: self.name.to_owned(), target: self.target.to_owned(), figure, spread, met }
    }

    /// What is not known is not kept.
    #[must_use]
    pub fn not_measured(&self) -> Target {
        self.judged("not measured".to_owned(), "-".to_owned(), false)
    }
}
