//! Faults: what Onrush needs is killed, stopped, cut and emptied in the middle of a rush, and its promises are judged.
//!
//! A run starts a private Redis, and nodes of Onrush as processes, with a proxy between each node and each store; Kafka
//! and PostgreSQL are private, too, and shared by the runs of one program. A seed decides who asks for what and which
//! fault strikes when. At the end an oracle compares what the clients were told with the rows in the database: it knows
//! nothing of the product's insides, and believes none of its metrics.
//!
//! Weather is what is wrong between nodes and stores at a moment; a sky is the weather over one connection, or one answer.
//!
//! - [`plan`]: what happens, from a seed.
//! - [`run`]: it happens.
//! - [`storm`]: what goes wrong, one file a kind.
//! - [`oracle`]: was every promise kept, and which invariant is broken? [`evidence`]: what it judges by.
//! - [`rush`], [`crowd`], [`request`], [`history`]: who asks, and what they were told.
//! - [`installation`], [`stores`], [`slots`], [`proxy`]: what is hurt. How any of it starts is the testkit's.
//! - [`report`]: what many runs come to.
//! - [`soak`]: not a rush and a storm, but many connections and mild weather for a long time.

pub mod crowd;
pub mod draw;
pub mod evidence;
pub mod history;
pub mod installation;
pub mod oracle;
pub mod plan;
pub mod proxy;
pub mod report;
pub mod request;
pub mod run;
pub mod rush;
pub mod slots;
pub mod soak;
pub mod stores;
pub mod storm;
