//! What there is to read: posts on their way from the author to the subscribers, and what they and everybody else read.

mod author;
mod dead_letters;
mod desk;
mod end_to_end;
mod hang_up;
mod lanes;
mod pace;
mod parallel;
mod posts;
mod reading;
mod reconcile;
mod relay;
mod subscriptions;
mod view;
