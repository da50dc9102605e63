//! How Redis loses what it knew.

/// How it loses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Empty,
    Flush,
    SetBack,
    Promote,
}
