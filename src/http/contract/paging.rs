//! Pages of a list: how long one is, and where the next one begins.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use utoipa::IntoParams;

/// The query of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the query in the OpenAPI document; `Input` reads it")]
pub(crate) struct Paging {
    /// 1 to 100, 20 if absent.
    limit: Option<u8>,
    /// `next` of the page before.
    after: Option<String>,
}

/// Where a page ends, in a form that nobody is tempted to make up.
pub(crate) struct Cursor(pub String);

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(&self.0))
    }
}

impl std::str::FromStr for Cursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let wrong = "is no cursor of this list";
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| wrong)?;
        String::from_utf8(bytes).map(Self).map_err(|_| wrong)
    }
}
