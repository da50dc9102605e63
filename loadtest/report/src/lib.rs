//! What a benchmark run found, as data, pictures and words.

pub mod data;
