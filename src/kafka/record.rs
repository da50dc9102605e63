//! A record as it was read from a topic.

/// A record, and where it stands in the topic.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its partition.
    pub partition: i32,
    /// Its place in the partition.
    pub offset: i64,
    /// What it was put into a partition by.
    pub key: Vec<u8>,
    /// What it says.
    pub value: Vec<u8>,
    /// What was said about it, by name.
    pub headers: Vec<(String, Vec<u8>)>,
    /// How often it was held back since this worker read it.
    pub tries: u32,
}
