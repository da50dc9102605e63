//! Small hashes that belong to no campaign: how alarms stand, whether the cache is bypassed.

use super::error::RedisError;
use super::redis::Redis;
use super::script::Script;
use super::value::Value;
use crate::script;

static SET: Script<1> = script!("fields/set");

impl Redis {
    /// Sets fields of a hash that belongs to no campaign, also when Redis has no memory left: who tells of that writes here.
    pub async fn set_fields(&self, key: &str, fields: Vec<(String, String)>) -> Result<(), RedisError> {
        let args: Vec<Value> = fields.into_iter().flat_map(|(field, value)| [field.into(), value.into()]).collect();
        self.call_anywhere(&SET, [key.to_owned()], args).await.map(drop)
    }
}
