//! A Lua script with the number of its keys in its type, counted from its header when the program is compiled.

use std::sync::{Arc, OnceLock};

use super::value::Value;

/// What a script is called with. A script that Redis does not know is loaded and called again, so they may be wanted
/// twice.
pub trait Arguments {
    /// The arguments, in order.
    fn values(&self) -> Vec<Value>;
}

impl Arguments for Vec<Value> {
    fn values(&self) -> Vec<Value> {
        self.clone()
    }
}

/// Arguments that are made again when they are wanted twice, since keeping them would cost each call a copy.
pub struct MadeBy<F>(pub F);

impl<F: Fn() -> Vec<Value>> Arguments for MadeBy<F> {
    fn values(&self) -> Vec<Value> {
        (self.0)()
    }
}

/// A script that is called with exactly `KEYS` keys.
pub struct Script<const KEYS: usize> {
    name: &'static str,
    source: &'static str,
    is_repeatable: bool,
    decides: bool,
    sha: OnceLock<Arc<str>>,
}

impl<const KEYS: usize> Script<KEYS> {
    /// In a `static`, a wrong number of keys does not compile.
    #[must_use]
    pub const fn new(name: &'static str, source: &'static str) -> Self {
        assert!(count(source, "\n-- KEYS[") == KEYS, "the header lists another number of KEYS");
        let is_repeatable = count(source, "\n-- Safe to repeat: yes") == 1;
        // What all scripts of a campaign begin with.
        let decides = count(source, "\nlocal function enter(") == 1;
        Self { name, source, is_repeatable, decides, sha: OnceLock::new() }
    }

    /// `room/verb`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The whole text, with the prelude.
    #[must_use]
    pub fn source(&self) -> &'static str {
        self.source
    }

    /// Whether its header says that it may run twice for one call: then it is sent again when its reply was lost.
    pub(super) fn is_repeatable(&self) -> bool {
        self.is_repeatable
    }

    /// Whether it says what is true of a campaign, or changes it: then it runs only where the server was verified.
    pub(super) fn decides(&self) -> bool {
        self.decides
    }

    /// The hash of its text alone, which no fence knows of.
    pub(super) fn sha(&self) -> Arc<str> {
        Arc::clone(self.sha.get_or_init(|| fred::util::sha1_hash(self.source).into()))
    }
}

/// How often the mark is in the text.
const fn count(text: &str, mark: &str) -> usize {
    let (text, mark) = (text.as_bytes(), mark.as_bytes());
    let (mut at, mut found) = (0, 0);
    while at + mark.len() <= text.len() {
        let mut same = 0;
        while same < mark.len() && text[at + same] == mark[same] {
            same += 1;
        }
        if same == mark.len() {
            found += 1;
        }
        at += 1;
    }
    found
}

/// Names a script below `lua/` and binds it to a `static`; with `prelude`, what all scripts of a campaign share comes
/// before it; with `waiting`, also what all scripts of a waiting room share. With `allow_oom` it runs also when Redis has no
/// memory left: for what makes room, and for small writes that others wait for. Redis wants to know that before all else.
#[macro_export]
#[doc(hidden)]
macro_rules! script {
    (allow_oom prelude + $path:literal) => {
        $crate::redis::Script::new(
            $path,
            concat!(
                "#!lua flags=allow-oom\n",
                include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/lua/prelude.lua")),
                include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/lua/", $path, ".lua"))
            ),
        )
    };
    (prelude + $path:literal) => {
        $crate::redis::Script::new(
            $path,
            concat!(
                include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/lua/prelude.lua")),
                include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/lua/", $path, ".lua"))
            ),
        )
    };
    (waiting + $path:literal) => {
        $crate::redis::Script::new(
            $path,
            concat!(
                include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/lua/prelude.lua")),
                include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/lua/waiting/prelude.lua")),
                include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/lua/", $path, ".lua"))
            ),
        )
    };
    ($path:literal) => {
        $crate::redis::Script::new($path, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/lua/", $path, ".lua")))
    };
}
