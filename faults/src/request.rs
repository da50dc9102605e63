//! What can a client ask for, and what is that over HTTP?

use serde::Serialize;
use serde_json::{Value, json};
use testkit::client::{HttpRequest, Method};

/// Who asks for what.
#[derive(Debug, Clone)]
pub struct Request {
    /// Who.
    pub user: String,
    /// The token that says so, or the operator's.
    pub token: String,
    /// For what.
    pub asked: Asked,
}

/// What a client asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Asked {
    /// A unit.
    Claim {
        /// The `Idempotency-Key`.
        key: Option<String>,
    },
    /// A unit, with a pass of the waiting room.
    ClaimWithPass {
        /// The `Idempotency-Key`.
        key: String,
        /// The pass.
        pass: String,
    },
    /// To give this claim back.
    GiveBack {
        /// Its id.
        claim: String,
    },
    /// To use this claim's coupon.
    Redeem {
        /// Its id.
        claim: String,
        /// Its code.
        coupon: String,
    },
    /// That there be so many units.
    Raise {
        /// The stock.
        stock: u64,
    },
    /// Another thing that only an operator may ask for.
    Edit(Edit),
    /// A place in the waiting room.
    Join,
    /// The status of that place.
    Status,
    /// This campaign.
    View,
    /// All campaigns.
    List,
}

/// What an operator does to a campaign, besides raising its stock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Edit {
    /// Makes it.
    Create {
        /// Its units.
        stock: u64,
        /// Units that a user may hold.
        limit: usize,
        /// Its waiting room: the pace's number and window in ms, and the cap.
        room: Option<(u64, u64, u64)>,
    },
    /// Names it.
    Rename {
        /// The name.
        name: String,
    },
    /// Stops claims for a while.
    Pause,
    /// Takes claims again.
    Resume,
    /// Stops claims for good.
    Close,
}

impl Request {
    /// What this is over HTTP, about this campaign.
    #[must_use]
    pub fn http(&self, campaign: &str) -> HttpRequest {
        let of_campaign = |rest: &str| format!("/v1/campaigns/{campaign}{rest}");
        let get = |path| HttpRequest::new(Method::GET, path);
        let post = |path| HttpRequest::new(Method::POST, path);
        let patch = |body: Value| HttpRequest::new(Method::PATCH, of_campaign("")).json(body);
        let request = match &self.asked {
            Asked::Claim { key } => {
                let claim = post(of_campaign("/claims"));
                key.iter().fold(claim, |claim, key| claim.header("Idempotency-Key", key))
            }
            Asked::ClaimWithPass { key, pass } => {
                post(of_campaign("/claims")).header("Idempotency-Key", key).header("Onrush-Pass", pass)
            }
            Asked::GiveBack { claim } => post(format!("/v1/claims/{claim}/give-back")),
            Asked::Redeem { coupon, .. } => post(format!("/v1/coupons/{coupon}/redeem")),
            Asked::Raise { stock } => patch(json!({ "stock": stock })),
            Asked::Edit(Edit::Create { stock, limit, room }) => {
                let mut body = json!({"id": campaign, "name": "A rush", "stock": stock, "per_user_limit": limit});
                if let Some((admit, every_ms, active_max)) = room {
                    body["waiting"] = json!({"admit": admit, "every_ms": every_ms, "active_max": active_max,
                        "pass_ttl_s": 60});
                }
                post("/v1/campaigns".to_owned()).json(body)
            }
            Asked::Edit(Edit::Rename { name }) => patch(json!({ "name": name })),
            Asked::Edit(Edit::Pause) => post(of_campaign("/pause")),
            Asked::Edit(Edit::Resume) => post(of_campaign("/resume")),
            Asked::Edit(Edit::Close) => post(of_campaign("/close")),
            Asked::Join => post(of_campaign("/waiting")),
            Asked::Status => get(of_campaign("/waiting")),
            Asked::View => get(of_campaign("")),
            Asked::List => get("/v1/campaigns?limit=100".to_owned()),
        };
        request.bearer(&self.token)
    }
}
