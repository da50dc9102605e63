//! What there is to read: posts on their way from the author to the subscribers.

mod author;
mod lanes;
mod letters;
mod pace;
mod parallel;
mod relay;
