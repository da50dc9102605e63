//! An OpenAI-compatible language model that inspects posts, without a model: the same post has the same verdict.
//!
//! It rejects what has a forbidden word in it, finds the category by a word, and repeats the hash tags. It insists on the
//! protocol: a model, a system prompt that asks for JSON, and the post as JSON in the user's message; else 400.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const FORBIDDEN: [&str; 3] = ["casino", "도박", "대출"];
const CATEGORIES: [(&str, &str); 4] =
    [("맛집", "food"), ("restaurant", "food"), ("여행", "travel"), ("concert", "music")];
const HUGE_BYTES: usize = 1 << 20;

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatManner {
    /// As it was asked to.
    #[default]
    Well,
    /// The JSON in a fenced block of code.
    Fenced,
    /// In words.
    Prose,
    /// JSON that breaks off.
    BadJson,
    /// Members that nobody asked for, and not all of those that were.
    WrongMembers,
    /// A verdict that is none of the two.
    WrongVerdict,
    /// A category that was not on the list.
    WrongCategory,
    /// More tags than anybody wants, some of them none.
    ManyTags,
    /// A rejection without a reason.
    NoReason,
    /// Much too much.
    Huge,
    /// No choices at all.
    Empty,
}

#[derive(Deserialize)]
struct Asked {
    model: String,
    messages: Vec<Message>,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    content: String,
}

/// The answer to a request of this body.
pub(crate) fn answer(body: &Value, manner: ChatManner) -> Response {
    let asked = match Asked::deserialize(body) {
        Ok(asked) if !asked.model.is_empty() => asked,
        Ok(_) => return refused("model must be given"),
        Err(error) => return refused(&error.to_string()),
    };
    let content = |role: &str| asked.messages.iter().rfind(|message| message.role == role).map(|found| &found.content);
    let (Some(system), Some(user)) = (content("system"), content("user")) else {
        return refused("messages must have a system prompt and a user's message");
    };
    if !system.contains("JSON") {
        return refused("the prompt does not ask for JSON");
    }
    let Ok(post) = serde_json::from_str::<Value>(user) else {
        return refused("the user's message is no JSON");
    };
    let content = text(&verdict(&post), manner);
    let choices = match manner {
        ChatManner::Empty => json!([]),
        _ => json!([{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}]),
    };
    let usage = json!({"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2});
    let model = asked.model;
    Json(json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": model, "choices": choices, "usage": usage}))
        .into_response()
}

fn refused(message: &str) -> Response {
    let error = json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": null}});
    (StatusCode::BAD_REQUEST, Json(error)).into_response()
}

fn verdict(post: &Value) -> Value {
    let member = |name: &str| post[name].as_str().unwrap_or_default().to_lowercase();
    let text = format!("{}\n{}", member("title"), member("body"));
    let category = CATEGORIES.iter().find(|(word, _)| text.contains(word)).map_or("general", |(_, category)| category);
    let tags: Vec<&str> = text.split_whitespace().filter_map(|word| word.strip_prefix('#')).collect();
    match FORBIDDEN.iter().find(|word| text.contains(*word)) {
        Some(word) => {
            json!({"category": category, "verdict": "reject", "reason": format!("it speaks of {word}"), "tags": tags})
        }
        None => json!({"category": category, "verdict": "pass", "reason": "", "tags": tags}),
    }
}

fn text(verdict: &Value, manner: ChatManner) -> String {
    let with = |name: &str, value: Value| {
        let mut changed = verdict.clone();
        changed[name] = value;
        changed.to_string()
    };
    match manner {
        ChatManner::Well | ChatManner::Empty => verdict.to_string(),
        ChatManner::Fenced => format!("```json\n{verdict:#}\n```"),
        ChatManner::Prose => "This post looks fine to me. I would let it pass!".into(),
        ChatManner::BadJson => verdict.to_string().trim_end_matches('}').into(),
        ChatManner::WrongMembers => json!({"verdict": "pass", "confidence": 0.9}).to_string(),
        ChatManner::WrongVerdict => with("verdict", "approve".into()),
        ChatManner::WrongCategory => with("category", "cryptocurrency".into()),
        ChatManner::ManyTags => {
            let many =
                (0..100).map(|n| format!("#Tag{n}")).chain(["two words".into(), "#".into(), "쿠폰".into()]).rev();
            with("tags", many.collect())
        }
        ChatManner::NoReason => {
            json!({"category": "general", "verdict": "reject", "reason": " ", "tags": []}).to_string()
        }
        ChatManner::Huge => with("reason", "x".repeat(HUGE_BYTES).into()),
    }
}
