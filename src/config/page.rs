//! How does the visitors' page look, and where does it lead? Its settings, and what they must be.

use serde::Deserialize;

use super::Limits;

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
            let text =
                format!("{name} must be empty or an address with http:// or https:// and a host, in visible ASCII");
            is.unless(url.is_empty() || origin(url).is_some(), &text);
        }
        let rest = self.return_url.replace("{campaign}", "").replace("{pass}", "");
        is.unless(
            self.return_url.is_empty() || (self.return_url.contains("{pass}") && !rest.contains(['{', '}'])),
            "page.return_url must have {pass} in it, and no other braces but {campaign}",
        );
        // A host made of a placeholder would let the campaign's name choose who gets the pass.
        is.unless(
            !origin(&self.return_url).is_some_and(|origin| origin.contains('{')),
            "page.return_url must have neither {pass} nor {campaign} in its host",
        );
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

    /// Where the logo is fetched from: the page allows pictures from there and from nowhere else.
    #[must_use]
    pub fn logo_origin(&self) -> Option<&str> {
        origin(&self.logo_url)
    }
}

/// Scheme, host and port of an address. It goes into a header: nothing that could end a source there is let through.
fn origin(url: &str) -> Option<&str> {
    let scheme = ["https://", "http://"].into_iter().find(|scheme| url.starts_with(scheme))?;
    let rest = &url[scheme.len()..];
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-.:[]{}".contains(&b);
    let is_visible = url.bytes().all(|b| b.is_ascii_graphic());
    (!authority.is_empty() && authority.bytes().all(is_plain) && is_visible)
        .then(|| &url[..scheme.len() + authority.len()])
}
