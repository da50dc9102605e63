//! A post as it is kept in the cache: as it stands, and as it is answered, so that who asks again costs next to nothing.
//!
//! It travels as the post alone. What is answered is written when it is first asked for.

use std::sync::OnceLock;

use base64::Engine;
use bytes::Bytes;
use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::post::{Inspection, Post, PostId};
use crate::clock::Millis;

/// One more at each change of the form that posts are answered in: clients that have the old one are sent the new one.
const FORM: u8 = 1;

/// Most posts have room in so many bytes beside their text.
const BYTES_BESIDE_TEXT: usize = 320;

/// A post as its readers see it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct PostView<'a> {
    /// Ascends with time, as a text too.
    #[schema(value_type = String, example = "3760432834373681152")]
    pub post_id: PostId,
    /// Who wrote it.
    #[schema(example = "alice")]
    pub author_id: &'a str,
    /// What it is called.
    #[schema(example = "Opening day", min_length = 1, max_length = 200)]
    pub title: &'a str,
    /// What it says.
    #[schema(min_length = 1, max_length = 20_000)]
    pub body: &'a str,
    /// What it is about; null until it was inspected.
    #[schema(example = "food")]
    pub category: Option<&'a str>,
    /// Hash tags, without `#`.
    pub tags: &'a [String],
    /// Whether others may read it.
    pub inspection: Inspection,
    /// When it was written.
    #[schema(value_type = String, format = DateTime)]
    pub published_at: Millis,
    /// Why it was rejected; its author and operators see it, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
}

impl<'a> PostView<'a> {
    /// As everybody sees it.
    #[must_use]
    pub fn public(post: &'a Post) -> Self {
        Self {
            post_id: post.post_id,
            author_id: &post.author_id,
            title: &post.title,
            body: &post.body,
            category: post.category.as_deref(),
            tags: &post.tags,
            inspection: post.inspection,
            published_at: post.published_at,
            reason: None,
        }
    }

    /// As its author sees it.
    #[must_use]
    pub fn authors(post: &'a Post) -> Self {
        Self { reason: post.reason.as_deref(), ..Self::public(post) }
    }
}

/// A post that is kept.
#[derive(Debug, Deserialize)]
#[serde(from = "Post")]
pub struct ReadyPost {
    post: Post,
    public: OnceLock<Form>,
    authors: OnceLock<Form>,
}

/// What is answered.
#[derive(Debug, Clone)]
pub struct Form {
    /// The post as JSON.
    pub body: Bytes,
    /// Its `ETag`, quotes included: another one wherever the body is another.
    pub etag: Bytes,
}

impl From<Post> for ReadyPost {
    fn from(post: Post) -> Self {
        Self { post, public: OnceLock::new(), authors: OnceLock::new() }
    }
}

impl Serialize for ReadyPost {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.post.serialize(to)
    }
}

impl std::ops::Deref for ReadyPost {
    type Target = Post;

    fn deref(&self) -> &Post {
        &self.post
    }
}

impl ReadyPost {
    /// What everybody is answered.
    #[must_use]
    pub fn public(&self) -> &Form {
        self.public.get_or_init(|| Form::of(&self.post, &PostView::public(&self.post)))
    }

    /// What its author is answered.
    #[must_use]
    pub fn authors(&self) -> &Form {
        if self.post.reason.is_none() {
            return self.public();
        }
        self.authors.get_or_init(|| Form::of(&self.post, &PostView::authors(&self.post)))
    }
}

impl Form {
    fn of(post: &Post, view: &PostView<'_>) -> Self {
        let mut body = Vec::with_capacity(post.title.len() + post.body.len() + BYTES_BESIDE_TEXT);
        serde_json::to_writer(&mut body, view).expect("a post is JSON, and memory takes it");
        // Title and body are what the revision says: the long texts need no hashing.
        let short = PostView { title: "", body: "", ..view.clone() };
        let rest = serde_json::to_vec(&(FORM, post.revision, short)).expect("a post is JSON");
        let digest = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&Sha256::digest(rest)[..12]);
        Self { body: body.into(), etag: format!("\"{digest}\"").into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post() -> Post {
        Post {
            post_id: PostId(7),
            author_id: "alice".into(),
            title: "t".into(),
            body: "b".into(),
            category: None,
            tags: Vec::new(),
            inspection: Inspection::Pending,
            reason: None,
            revision: 1,
            published_at: Millis(1_700_000_000_000),
        }
    }

    #[test]
    fn it_travels_as_the_post_and_comes_back_as_it_was() {
        let ready = ReadyPost::from(post());
        let _written = ready.public();
        let text = serde_json::to_string(&ready).unwrap();
        assert_eq!(serde_json::from_str::<Post>(&text).unwrap(), post());
        let back: ReadyPost = serde_json::from_str(&text).unwrap();
        assert_eq!((&back.public().body, &back.public().etag), (&ready.public().body, &ready.public().etag));
    }

    #[test]
    fn the_etag_is_another_wherever_the_body_is() {
        let tag = |change: fn(&mut Post)| {
            let mut post = post();
            change(&mut post);
            ReadyPost::from(post).authors().etag.clone()
        };
        let tags = [
            tag(|_| {}),
            tag(|post| post.revision = 2),
            tag(|post| post.inspection = Inspection::Passed),
            tag(|post| post.category = Some("food".into())),
            tag(|post| post.tags = vec!["쿠폰".into()]),
            tag(|post| post.reason = Some("no".into())),
        ];
        let unlike: std::collections::HashSet<_> = tags.iter().collect();
        assert_eq!(unlike.len(), tags.len());
    }

    #[test]
    fn the_reason_is_for_the_author_and_nobody_else() {
        let ready = ReadyPost::from(Post { reason: Some("rude".into()), ..post() });
        let text = |form: &Form| String::from_utf8(form.body.to_vec()).unwrap();
        assert!(text(ready.authors()).contains("\"reason\":\"rude\""));
        assert!(!text(ready.public()).contains("reason"));
    }
}
