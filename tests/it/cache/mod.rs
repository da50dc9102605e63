//! The cache against a real Redis: what it promises to readers, to those who change things, and to the source.

mod bytes;
mod cluster;
mod flights;
mod freshness;
mod lab;
mod operators;
mod outage;
mod property;
mod races;
