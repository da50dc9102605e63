//! What does Onrush do in its worst second, and is that what was promised? Starts what it needs, loads it, judges, and
//! leaves a [`report::data::Run`].
//!
//! - [`sections`]: what is measured, one module each; [`plan`]: for how long.
//! - [`load`], [`users`], [`texts`], [`ticker`]: who asks; built to be light, since they share the cores with the server.
//! - [`tally`], [`histogram`], [`pairs`], [`oracle`]: what was answered, and what that means.
//! - [`rig`], [`stores`], [`slow_line`], [`proc`], [`sampler`], [`machine`]: what is asked, and what it runs on.

pub mod bench;
pub mod histogram;
pub mod load;
pub mod machine;
pub mod oracle;
pub mod output;
pub mod pairs;
pub mod plan;
pub mod proc;
pub mod rig;
pub mod sampler;
pub mod sections;
pub mod slow_line;
pub mod stores;
pub mod tally;
pub mod texts;
pub mod ticker;
pub mod users;
