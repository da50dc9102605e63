//! Is this answer what the contract says? What came back, and what it means.

use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::settings::Settings;
use crate::users::User;

/// Letters and digits of a coupon code: Crockford's base32.
const CROCKFORD: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    /// What was asked, for people.
    pub(crate) asked: String,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// The body; null where there is none that can be read.
    pub(crate) body: Value,
}

/// A claim that an answer names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) id: String,
    pub(crate) number: u64,
    pub(crate) coupon_code: String,
}

/// What an answer to a claim means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// A unit, for the first time.
    Granted(Claim),
    /// What was granted to the same key before.
    Replayed(Claim),
    /// The user holds this one already.
    LimitReached(Claim),
    /// Nothing is left.
    SoldOut,
}

impl Meaning {
    /// The word for it.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Granted(_) => "granted",
            Self::Replayed(_) => "replayed",
            Self::LimitReached(_) => "limit_reached",
            Self::SoldOut => "sold_out",
        }
    }

    /// The claim that it names.
    pub(crate) fn claim(&self) -> Option<&Claim> {
        match self {
            Self::Granted(claim) | Self::Replayed(claim) | Self::LimitReached(claim) => Some(claim),
            Self::SoldOut => None,
        }
    }
}

impl Answer {
    /// A header's text, or "".
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// For people.
    pub(crate) fn describe(&self) -> String {
        format!("{}: {} {}", self.asked, self.status, self.body)
    }

    /// Whether this is the refusal that was to be expected: status, code and form.
    pub(crate) fn is_refusal(&self, status: u16, code: &str) -> bool {
        self.status == status
            && self.header("content-type") == "application/problem+json"
            && self.body["code"] == code
            && self.body["status"] == status
            && self.body["type"] == format!("/problems/{code}")
            && self.body["request_id"] == self.header("x-request-id")
    }

    /// What an answer to this user's claim means; `None` if it is against the contract.
    pub(crate) fn meaning(
        &self,
        user: &User,
        campaign: &str,
        settings: &Settings,
        key: Option<&str>,
    ) -> Option<Meaning> {
        let held = |body: &Value| claim(body, user, campaign, settings, "live");
        if self.status == 201 {
            let claim = held(&self.body)?;
            let replayed = self.header("idempotency-replayed") == "true";
            let is_well = self.header("location") == format!("/v1/claims/{}", claim.id) && (key.is_some() || !replayed);
            let meaning = if replayed { Meaning::Replayed(claim) } else { Meaning::Granted(claim) };
            return is_well.then_some(meaning);
        }
        if self.is_refusal(409, "sold_out") {
            return Some(Meaning::SoldOut);
        }
        // The limit is 1 here: whoever has reached it holds one, and is told which.
        let told = self.body["claims"].as_array().filter(|held| held.len() == 1);
        told.filter(|_| self.is_refusal(409, "limit_reached"))
            .and_then(|told| held(&told[0]))
            .map(Meaning::LimitReached)
    }
}

/// The claim in this body, if it is one of this user, in this state.
pub(crate) fn claim(body: &Value, user: &User, campaign: &str, settings: &Settings, state: &str) -> Option<Claim> {
    let text = |member: &str| body[member].as_str().unwrap_or_default();
    let (id, number) = (text("claim_id"), body["number"].as_u64()?);
    let is_well = text("user_id") == user.name
        && text("campaign_id") == campaign
        && number > 0
        && (settings.scenario.gives_back() || number <= settings.stock())
        && id.strip_prefix(campaign).is_some_and(|rest| rest.ends_with(&format!(".{number}")))
        && is_coupon_code(text("coupon_code"))
        && text("state") == state
        && text("durability") == "memory";
    is_well.then(|| Claim { id: id.to_owned(), number, coupon_code: text("coupon_code").to_owned() })
}

fn is_coupon_code(code: &str) -> bool {
    let groups: Vec<&str> = code.split('-').collect();
    groups.len() == 5 && groups.iter().all(|group| group.len() == 4 && group.chars().all(|c| CROCKFORD.contains(c)))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;

    fn settings() -> Settings {
        let words = "goose-load limited --url http://[::1] --hs256-secret s --operator-token t --stock 7";
        Settings::parse_from(words.split(' '))
    }

    fn alice() -> User {
        User { name: "alice".into(), token: String::new(), visit: 0 }
    }

    fn answer(status: u16, headers: &[(&'static str, &'static str)], body: Value) -> Answer {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        Answer { asked: "a test".into(), status, headers, body }
    }

    fn body() -> Value {
        json!({"claim_id": "c.1.7", "campaign_id": "c", "user_id": "alice", "number": 7,
            "coupon_code": "7Q4M-WX2A-9KCD-RT5H-3NVE", "state": "live", "durability": "memory"})
    }

    fn word(answer: &Answer, key: Option<&str>) -> Option<&'static str> {
        answer.meaning(&alice(), "c", &settings(), key).map(|meaning| meaning.word())
    }

    #[test]
    fn a_claim_of_the_user_is_granted_or_replayed() {
        let location = ("location", "/v1/claims/c.1.7");
        assert_eq!(word(&answer(201, &[location], body()), None), Some("granted"));
        let replayed = answer(201, &[location, ("idempotency-replayed", "true")], body());
        assert_eq!((word(&replayed, Some("k")), word(&replayed, None)), (Some("replayed"), None));
    }

    #[test]
    fn what_is_against_the_contract_means_nothing() {
        let location = ("location", "/v1/claims/c.1.7");
        for (member, value) in [
            ("user_id", json!("mallory")),
            ("campaign_id", json!("d")),
            ("number", json!(0)),
            ("number", json!(8)),
            ("claim_id", json!("c.1.6")),
            ("coupon_code", json!("7Q4M-WX2A-9KCD-RT5H-3NVU")),
            ("state", json!("given_back")),
            ("durability", json!("fsynced")),
        ] {
            let mut body = body();
            body[member] = value;
            assert_eq!(word(&answer(201, &[location], body), None), None, "{member}");
        }
        assert_eq!(word(&answer(201, &[], body()), None), None);
        assert_eq!(word(&answer(503, &[], json!({"code": "unavailable"})), None), None);
    }

    #[test]
    fn a_refusal_has_the_form_of_a_problem() {
        let problem = |code: &str| {
            let kind = format!("/problems/{code}");
            json!({"code": code, "status": 409, "type": kind, "request_id": "r", "claims": [body()]})
        };
        let headers = [("content-type", "application/problem+json"), ("x-request-id", "r")];
        assert_eq!(word(&answer(409, &headers, problem("sold_out")), None), Some("sold_out"));
        assert_eq!(word(&answer(409, &headers, problem("limit_reached")), None), Some("limit_reached"));
        assert_eq!(word(&answer(409, &headers, problem("paused")), None), None);
        assert_eq!(word(&answer(409, &headers[..1], problem("sold_out")), None), None);
        let mut of_another = problem("limit_reached");
        of_another["claims"][0]["user_id"] = json!("mallory");
        assert_eq!(word(&answer(409, &headers, of_another), None), None);
    }
}
