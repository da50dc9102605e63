//! How does it look? The shop's few settings, made ready once: colours that can be read, addresses with their gaps.

use axum::http::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::config;

/// What RFC 3986 leaves as it is.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const BLACK: &str = "#000000";
const WHITE: &str = "#ffffff";

/// What the templates ask for.
pub(crate) struct Look {
    pub(crate) name: String,
    pub(crate) home_url: String,
    pub(crate) logo_url: String,
    pub(crate) accent: String,
    /// What is written on the accent, and what is written on that.
    pub(crate) ink: &'static str,
    pub(crate) ink_opposite: &'static str,
    logo_origin: Option<String>,
    return_url: String,
}

impl Look {
    pub(crate) fn new(config: &config::Page) -> Self {
        let rgb = config.accent_rgb().unwrap_or_default();
        let (ink, ink_opposite) = if white_reads_better(rgb) { (WHITE, BLACK) } else { (BLACK, WHITE) };
        Self {
            name: config.name.clone(),
            home_url: config.home_url.clone(),
            logo_url: config.logo_url.clone(),
            accent: config.accent.clone(),
            ink,
            ink_opposite,
            logo_origin: config.logo_origin(),
            return_url: config.return_url.clone(),
        }
    }

    /// Whether visitors go on to the shop with their pass; else they claim on the page.
    pub(crate) fn leads_on(&self) -> bool {
        !self.return_url.is_empty()
    }

    /// Where a visitor goes on with this pass; `None` where the page itself offers to claim.
    pub(crate) fn way_on(&self, campaign: &str, pass: &str) -> Option<String> {
        let encoded = |text| utf8_percent_encode(text, ENCODED).to_string();
        // The pass last: what is put in is not looked through again.
        let url = || self.return_url.replace("{campaign}", &encoded(campaign)).replace("{pass}", &encoded(pass));
        self.leads_on().then(url)
    }

    /// What the page may do in a browser: its own style and script, its own server, its shop's picture, and nothing else.
    pub(crate) fn policy(&self, nonce: &str) -> HeaderValue {
        let pictures = self.logo_origin.as_deref().unwrap_or("'none'");
        let policy = format!(
            "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; img-src {pictures}; \
             connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        );
        HeaderValue::try_from(policy).expect("the logo's origin was checked at boot, the nonce is ours")
    }
}

/// By the contrast of WCAG 2: one of the two always has 4.5 or more.
fn white_reads_better(rgb: [u8; 3]) -> bool {
    let luminance = luminance(rgb);
    1.05 / (luminance + 0.05) >= (luminance + 0.05) / 0.05
}

fn luminance(rgb: [u8; 3]) -> f64 {
    let linear = rgb.map(|part| {
        let part = f64::from(part) / 255.0;
        if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    });
    0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_on_any_accent_can_be_read() {
        for rgb in (0_u32..=0xff_ff_ff).step_by(4_093).map(|rgb| {
            let [_, red, green, blue] = rgb.to_be_bytes();
            [red, green, blue]
        }) {
            let luminance = luminance(rgb);
            let contrast = if white_reads_better(rgb) { 1.05 / (luminance + 0.05) } else { (luminance + 0.05) / 0.05 };
            assert!(contrast >= 4.5, "{rgb:?}: {contrast}");
        }
        assert!(white_reads_better([0, 0, 0]) && !white_reads_better([255, 255, 0]));
    }

    /// Of the style's own colours, in light and in dark: what is written on what.
    #[test]
    fn every_text_of_the_style_can_be_read() {
        let style = include_str!("page.css");
        let (light, rest) = style.split_once("@media").unwrap();
        let (dark, _) = rest.split_once("* {").unwrap();
        for (mode, block) in [("light", light), ("dark", dark)] {
            let luminance_of = |name: &str| {
                let (_, after) = block.split_once(&format!("--{name}: #")).unwrap();
                let part = |at: usize| u8::from_str_radix(&after[at..at + 2], 16).unwrap();
                luminance([part(0), part(2), part(4)])
            };
            for (ink, paper) in
                [("text", "paper"), ("soft", "paper"), ("text", "track"), ("soft", "track"), ("warn-text", "warn")]
            {
                let (a, b) = (luminance_of(ink), luminance_of(paper));
                let contrast = (a.max(b) + 0.05) / (a.min(b) + 0.05);
                assert!(contrast >= 4.5, "{mode}: {ink} on {paper}: {contrast}");
            }
        }
    }

    #[test]
    fn campaign_and_pass_are_encoded_on_the_way_on() {
        let mut page = config::Page {
            name: String::new(),
            home_url: String::new(),
            return_url: "https://shop.example/enter?c={campaign}&p={pass}".into(),
            logo_url: String::new(),
            accent: "#000000".into(),
        };
        let on = Look::new(&page).way_on("a:b@c", "x.y-z_{campaign}&q=1");
        assert_eq!(on.as_deref(), Some("https://shop.example/enter?c=a%3Ab%40c&p=x.y-z_%7Bcampaign%7D%26q%3D1"));
        page.return_url.clear();
        assert_eq!(Look::new(&page).way_on("a", "b"), None);
    }
}
