//! How does the visitors' page look, and where does it lead? Its settings, and what they must be.

use serde::Deserialize;

use super::{Limits, address};

section!(
    /// The visitors' page of waiting rooms.
    Page { name: String, home_url: String, return_url: String, logo_url: String, accent: String }
);

/// Characters of the shop's name.
const NAME_CHARACTERS_MAX: usize = 60;

impl Page {
    pub(super) fn check(&self, is: &mut Limits) {
        is.unless(
            self.name.chars().count() <= NAME_CHARACTERS_MAX && !self.name.chars().any(char::is_control),
            "page.name must have at most 60 characters, and no control characters",
        );
        for (name, url) in [
            ("page.home_url", &self.home_url),
            ("page.return_url", &self.return_url),
            ("page.logo_url", &self.logo_url),
        ] {
            // What stands for something else is no part of an address yet.
            let outcome = address::web(&url.replace("{campaign}", "c").replace("{pass}", "p"));
            let why = match outcome {
                Ok(url) if !url.username().is_empty() || url.password().is_some() => "has a user in it".to_owned(),
                Ok(_) => continue,
                Err(why) => why,
            };
            is.unless(url.is_empty(), &format!("{name} {why}"));
        }
        let rest = self.return_url.replace("{campaign}", "").replace("{pass}", "");
        is.unless(
            self.return_url.is_empty() || (self.return_url.contains("{pass}") && !rest.contains(['{', '}'])),
            "page.return_url must have {pass} in it, and no other braces but {campaign}",
        );
        // A host made of a placeholder would let the campaign's name choose who gets the pass.
        let host = self.return_url.split_once("://").map_or("", |(_, rest)| rest);
        let host = &host[..host.find(['/', '?', '#']).unwrap_or(host.len())];
        is.unless(!host.contains('{'), "page.return_url must have neither {pass} nor {campaign} in its host");
        is.unless(self.accent_rgb().is_some(), "page.accent must be #rrggbb");
    }

    /// The accent's red, green and blue.
    #[must_use]
    pub fn accent_rgb(&self) -> Option<[u8; 3]> {
        let digits = self.accent.strip_prefix('#')?;
        let is_hex = digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        let part = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).ok();
        if is_hex { Some([part(0)?, part(2)?, part(4)?]) } else { None }
    }

    /// Where the logo is fetched from, as browsers write it: the page allows pictures from there and from nowhere else.
    #[must_use]
    pub fn logo_origin(&self) -> Option<String> {
        address::web(&self.logo_url).ok().map(|url| url.origin().ascii_serialization())
    }
}
