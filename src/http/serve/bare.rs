//! The yardstick: what the framework alone makes of a claim, or of a post that is read. It checks the user's token where the
//! route does, decides nothing, and answers the bytes of an answer that was made before. It is on only where `bench.bare`
//! says so.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;

use crate::http::auth::caller::User;
use crate::http::contract::header_names::X_REQUEST_ID;
use crate::http::state::App;

const GRANTED: &[u8] = br#"{"claim_id":"rush-1795203709643.1.123456","campaign_id":"rush-1795203709643","user_id":"user-123456","number":123456,"coupon_code":"7Q4M-WX2A-9KCD-RT5H-3NVE","state":"live","claimed_at":"2026-12-01T01:00:00.000Z","durability":"memory"}"#;
const SOLD_OUT: &[u8] = br#"{"type":"/problems/sold_out","title":"Sold out","status":409,"detail":"no unit of rush-1795203709643 is left","code":"sold_out","request_id":"0123456789abcdef0123456789abcdef"}"#;

const WAITING: &[u8] = br#"{"state":"waiting","place":612345,"ahead":598123,"eta_s":5982,"poll_after_s":117,"left":50000,"ticket":"1.AQAAAAEAAAAAAAlX-QAAAAAACVf5B3dhaXRpbmd1c2VyLTA2MTIzNDU.mVx0n4lYHk3r1Zp8Q2s7Dg"}"#;

const POST: &str = r#"{"post_id":"3760432834373681152","author_id":"author-12","title":"첫 주말 선착순 쿠폰","body":"새로 연 가게의 첫 주말, 선착순 쿠폰 백 장을 나눕니다. 열 시에 문을 열고, 먼저 온 분부터 한 장씩 받습니다. 줄은 따로 서지 않습니다. 앱에서 자리를 잡고 기다리면 차례가 왔을 때 알려 드립니다. 쿠폰은 그날 안에 쓰면 되고, 한 사람에 한 장입니다. 남은 장수는 화면에 바로 보입니다. Doors open at ten; a hundred coupons, one for each, in the order in which you come. 궁금한 것은 댓글로 물어 주세요. 모두 반갑게 맞겠습니다.","category":"food","tags":["쿠폰","선착순"],"inspection":"passed","published_at":"2026-12-01T01:00:00.000Z"}"#;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/bare/granted", post(granted))
        .route("/bare/sold-out", post(sold_out))
        .route("/bare/joined", post(joined))
        .route("/bare/waiting", get(waiting))
        .route("/bare/post", get(a_post))
}

async fn granted(_: User) -> Response {
    let mut response = answer(StatusCode::CREATED, "application/json", GRANTED);
    let location = HeaderValue::from_static("/v1/claims/rush-1795203709643.1.123456");
    response.headers_mut().insert(header::LOCATION, location);
    response
}

async fn sold_out(_: User) -> Response {
    answer(StatusCode::CONFLICT, "application/problem+json", SOLD_OUT)
}

async fn joined(_: User) -> Response {
    waits(StatusCode::ACCEPTED)
}

async fn waiting(_: User) -> Response {
    waits(StatusCode::OK)
}

/// Anybody may ask: there is no token to check.
async fn a_post() -> Response {
    let mut response = answer(StatusCode::OK, "application/json", POST.as_bytes());
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=1"));
    headers.insert(header::ETAG, HeaderValue::from_static("\"0123456789abcdef\""));
    headers.insert(header::VARY, HeaderValue::from_static("Authorization"));
    response
}

fn waits(status: StatusCode) -> Response {
    let mut response = answer(status, "application/json", WAITING);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("117"));
    response
}

fn answer(status: StatusCode, kind: &'static str, body: &'static [u8]) -> Response {
    let mut response = Response::new(Body::from(Bytes::from_static(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_REQUEST_ID, HeaderValue::from_static("0123456789abcdef0123456789abcdef"));
    response
}
