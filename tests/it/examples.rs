//! What docs/integration.md shows to shops: programs in three languages that verify a pass by themselves. Where a language is
//! missing, its test says so.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use onrush::app::Role;
use onrush::clock::Millis;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::installation::{Client, Installation};

/// What all passes of these tests are signed with, so that they can sign what no node would.
const KEY: [u8; 32] = [9; 32];
/// An Ed25519 private key in DER, before its 32 bytes.
const DER_BEFORE: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// An example, and how it is started.
struct Example {
    program: PathBuf,
    words: &'static [&'static str],
    file: &'static str,
}

impl Example {
    /// `None` where this machine cannot run it.
    async fn of(language: &str) -> Option<Self> {
        let check = Command::new(checkout().join("dev/examples")).args(["--check", language]).output().await.unwrap();
        if !check.status.success() {
            let why = String::from_utf8_lossy(&check.stdout);
            // Not by a macro: what these print is kept to itself where a test passes.
            let _lost = writeln!(std::io::stderr(), "the example in {language} is skipped: {}", why.trim());
            return None;
        }
        Some(match language {
            "python" => {
                let program = checkout().join(".local/python-examples/bin/python");
                assert!(
                    program.exists(),
                    "what the example needs is not installed, though it could be: `dev/examples`"
                );
                Self { program, words: &[], file: "verify.py" }
            }
            "node" => Self { program: "node".into(), words: &[], file: "verify.mjs" },
            _ => Self { program: "go".into(), words: &["run"], file: "verify.go" },
        })
    }

    /// The user, or why it was refused.
    async fn verify(&self, url: &str, campaign: &str, pass: &str) -> Result<String, String> {
        let file = checkout().join("examples/verify-pass").join(self.file);
        let mut command = Command::new(&self.program);
        command.args(self.words).arg(file).args([url, campaign, pass]).stdin(Stdio::null()).env("NO_PROXY", "*");
        let ended = command.output().await.unwrap();
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        let (out, err) = (said(&ended.stdout), said(&ended.stderr));
        match ended.status.code() {
            Some(0) => Ok(out),
            Some(1) if out.is_empty() && err.starts_with("refused: ") => Err(err),
            status => panic!("status {status:?}: {out}{err}"),
        }
    }
}

/// A pass of this user, as the waiting room gives it.
async fn pass(node: &Client, campaign: &str, user: &str) -> String {
    let answer = node.as_user(user, Method::POST, &format!("/v1/campaigns/{campaign}/waiting")).await;
    assert_eq!((answer.status, answer.text("state")), (200, "admitted"), "{answer:?}");
    answer.text("pass").to_owned()
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn signing_key() -> EncodingKey {
    EncodingKey::from_ed_der(&[&DER_BEFORE[..], &KEY].concat())
}

/// Signed as a node does, whatever it says.
fn signed(claims: &Value) -> String {
    let header = Header { kid: Some("1".into()), ..Header::new(Algorithm::EdDSA) };
    jsonwebtoken::encode(&header, claims, &signing_key()).unwrap()
}

/// The same with one bit of one part turned over; 0 is the header.
fn flipped(pass: &str, which: usize) -> String {
    let mut parts: Vec<String> = pass.split('.').map(str::to_owned).collect();
    let mut bytes = URL_SAFE_NO_PAD.decode(&parts[which]).unwrap();
    // In the middle of a name or a value: a document that can still be read.
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    parts[which] = URL_SAFE_NO_PAD.encode(bytes);
    parts.join(".")
}

/// What nobody but a forger, or a shop that is confused, would show.
async fn bad_passes(node: &Client, campaign: &str, good: &str) -> Vec<(&'static str, String)> {
    let now_s = Millis::now().0 / 1_000;
    let claims =
        |iss: &str, aud: &str, exp: i64| json!({"iss": iss, "aud": aud, "sub": "민지", "jti": "1.1", "exp": exp});
    let fine = claims("onrush", campaign, now_s + 60);
    let without = |name: &str| {
        let mut claims = fine.clone();
        claims.as_object_mut().unwrap().remove(name).unwrap();
        signed(&claims)
    };
    let set = node.get("/.well-known/jwks.json").await.body;
    let public = set["keys"][0]["x"].as_str().unwrap();
    let confused = |secret: &[u8], kid: &str| {
        let header = Header { kid: Some(kid.into()), ..Header::new(Algorithm::HS256) };
        jsonwebtoken::encode(&header, &fine, &EncodingKey::from_secret(secret)).unwrap()
    };
    let unsigned = |algorithm: &str| format!("{}.{}.", part(&json!({"alg": algorithm, "kid": "1"})), part(&fine));
    let misnamed = |algorithm: &str| {
        let message = format!("{}.{}", part(&json!({"alg": algorithm, "kid": "1"})), part(&fine));
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &signing_key(), Algorithm::EdDSA).unwrap();
        format!("{message}.{signature}")
    };
    let (body, signature) = good.rsplit_once('.').unwrap();
    let other_head = part(&json!({"alg": "EdDSA", "typ": "JWT", "kid": "2"}));
    let mut bad = vec![
        ("no algorithm", unsigned("none")),
        ("no algorithm, though it was signed", misnamed("none")),
        ("another algorithm, though it was signed", misnamed("HS256")),
        ("no signature", unsigned("EdDSA")),
        ("no signature, though it was signed", format!("{body}.")),
        ("the public key as a shared secret", confused(&URL_SAFE_NO_PAD.decode(public).unwrap(), "1")),
        ("the public key's text as a shared secret", confused(public.as_bytes(), "1")),
        ("another key's id", format!("{other_head}.{}.{signature}", part(&fine))),
        ("another issuer", signed(&claims("someone", campaign, now_s + 60))),
        ("another campaign", signed(&claims("onrush", "another", now_s + 60))),
        ("expired", signed(&claims("onrush", campaign, now_s - 1))),
        ("no expiry", without("exp")),
        ("no user", without("sub")),
        ("no text", String::new()),
        ("no pass", "a.b.c".into()),
        ("two parts", body.to_owned()),
        ("four parts", format!("{good}.{signature}")),
    ];
    bad.extend(["flipped header", "flipped claims", "flipped signature"].into_iter().zip(0..3).map(|(name, which)| {
        let flipped = flipped(good, which);
        (name, flipped)
    }));
    bad
}

/// What it has to take, and what it has to refuse.
async fn is_sound(language: &'static str) {
    let Some(example) = Example::of(language).await else { return };
    let installation = Installation::with(|config| config.waiting.pass_key_hex = "09".repeat(32)).await;
    let node = installation.node(Role::Serve).await;
    let waiting = json!({"waiting": {"active_max": 10}});
    let (campaign, other) = (node.campaign(10, waiting.clone()).await, node.campaign(10, waiting).await);
    for user in ["alice", "민지"] {
        let good = pass(&node, &campaign, user).await;
        assert_eq!(example.verify(&node.url, &campaign, &good).await, Ok(user.to_owned()));
        assert!(example.verify(&node.url, &other, &good).await.is_err(), "another campaign's");
    }
    let good = pass(&node, &campaign, "bob").await;
    for (what, bad) in bad_passes(&node, &campaign, &good).await {
        let told = example.verify(&node.url, &campaign, &bad).await;
        assert!(told.is_err(), "{what}: taken as {told:?}'s: {bad}");
    }
    let now_s = Millis::now().0 / 1_000;
    let again = signed(&json!({"iss": "onrush", "aud": campaign, "sub": "bob", "jti": "1.3", "exp": now_s + 60}));
    assert_eq!(example.verify(&node.url, &campaign, &again).await, Ok("bob".into()), "these tests sign as a node does");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_verifies_a_pass_in_python() {
    is_sound("python").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_verifies_a_pass_in_node() {
    is_sound("node").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_verifies_a_pass_in_go() {
    is_sound("go").await;
}
