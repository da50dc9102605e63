//! What there is to read. Authors post, change and delete; subscribers follow them and wait for their posts; readers read.
//!
//! The crowd comes in groups of eight visits: an author, four subscribers, three readers. Who a visit is and whom it has to
//! do with follows from its number alone. At the end every post that passed has to be in each of its subscribers' feeds, once,
//! and none that was deleted in any.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use goose::config::GooseConfiguration;
use goose::goose::{GooseMethod, GooseUser};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::caller::Caller;
use crate::published::Published;
use crate::scene::Scene;
use crate::users::User;

/// Visits of a group.
const GROUP: u64 = 8;
/// What an author publishes.
const POSTS: u64 = 3;
/// Pages of a feed at most.
const PAGES_MAX: u32 = 20;
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// One visit.
pub(super) async fn visit(caller: &mut Caller<'_>, user: &User) -> anyhow::Result<()> {
    let author = author_of(caller.scene, user.visit / GROUP);
    match user.visit % GROUP {
        0 => publish(caller, &author, user.visit / GROUP).await,
        1..=4 => follow(caller, user, &author).await,
        _ => look_around(caller, user).await,
    }
}

fn author_of(scene: &Scene, group: u64) -> String {
    // Runs do not read each other's posts.
    format!("author-{}-{group}", scene.campaign.id)
}

/// Some posts: the second is changed, the last is deleted.
async fn publish(caller: &mut Caller<'_>, author: &str, group: u64) -> anyhow::Result<()> {
    let author = caller.scene.user(author.to_owned(), group)?;
    for number in 0..POSTS {
        let title = format!("{} {number}", author.name);
        let body = format!("#선착순 할인쿠폰을 {group}번 드립니다. word{group}x{number}");
        let sent = json!({"title": title, "body": body});
        let answer = send(caller, &author, GooseMethod::Post, "/v1/posts", "post", Some(&sent)).await?;
        let id = text(&answer.body, "post_id").to_owned();
        let is_made = answer.status == 201
            && answer.header("location").ends_with(&format!("/v1/posts/{id}"))
            && text(&answer.body, "author_id") == author.name
            && text(&answer.body, "title") == title
            && text(&answer.body, "inspection") == "pending";
        if !caller.scene.records.must(is_made && !id.is_empty(), || format!("not posted: {}", answer.describe())) {
            continue;
        }
        caller.scene.records.note("posted");
        let path = format!("/v1/posts/{id}");
        let own = caller.get(Some(&author), &path, "read own post").await?;
        let is_it = own.status == 200 && text(&own.body, "post_id") == id;
        caller.scene.records.must(is_it, || format!("not the author's post: {}", own.describe()));
        let mut title = title;
        if number == 1 {
            title = format!("{title} changed");
            let change = json!({"title": title});
            let changed = send(caller, &author, GooseMethod::Patch, &path, "change a post", Some(&change)).await?;
            let is_changed = changed.status == 200 && text(&changed.body, "title") == title;
            caller.scene.records.must(is_changed, || format!("not changed: {}", changed.describe()));
        }
        if number + 1 == POSTS {
            let gone = send(caller, &author, GooseMethod::Delete, &path, "delete a post", None).await?;
            caller.scene.records.must(gone.status == 204, || format!("not deleted: {}", gone.describe()));
            caller.scene.records.note("deleted");
            caller.scene.feed.change(&author.name, |published| published.deleted.push(id));
        } else {
            caller.scene.feed.change(&author.name, |published| drop(published.kept.insert(id, title)));
        }
    }
    Ok(())
}

/// Follows the author of the group, twice: that changes nothing.
async fn follow(caller: &mut Caller<'_>, user: &User, author: &str) -> anyhow::Result<()> {
    let path = format!("/v1/subscriptions/{author}");
    for _ in 0..2 {
        let answer = send(caller, user, GooseMethod::Put, &path, "subscribe", None).await?;
        if !caller.scene.records.must(answer.status == 204, || format!("not subscribed: {}", answer.describe())) {
            return Ok(());
        }
    }
    caller.scene.records.note("subscribed");
    caller.scene.feed.change(author, |published| published.subscribers.push(user.name.clone()));
    // One of four looks at the feed twice; what has not changed is not sent again.
    if user.visit % GROUP == 1 {
        read_twice(caller, Some(user), "/v1/feed", "feed").await?;
    }
    Ok(())
}

/// Reads what there is: the front page, a search, and one of the posts that were published so far.
async fn look_around(caller: &mut Caller<'_>, user: &User) -> anyhow::Result<()> {
    let view = read_twice(caller, Some(user), "/v1/view", "front page").await?;
    let failed = view.body["failed"].as_array().is_some_and(Vec::is_empty);
    caller.scene.records.must(failed, || format!("a part of the front page failed: {}", view.describe()));
    let found = caller.get(None, "/v1/search?q=%EC%BF%A0%ED%8F%B0", "search").await?;
    let is_page = found.status == 200 && found.body["items"].is_array();
    caller.scene.records.must(is_page, || format!("not a page of what was found: {}", found.describe()));
    let Some((id, is_deleted)) = caller.scene.feed.any(user.visit) else { return Ok(()) };
    let path = format!("/v1/posts/{id}");
    let post = caller.get(None, &path, "read a post").await?;
    // It may not have passed yet, or be deleted meanwhile.
    let is_either = match post.status {
        200 => !is_deleted && text(&post.body, "post_id") == id && text(&post.body, "inspection") == "passed",
        404 => true,
        _ => false,
    };
    caller.scene.records.must(is_either, || format!("neither the post nor 404: {}", post.describe()));
    if post.status == 200 {
        caller.scene.records.note("read");
    }
    Ok(())
}

/// Reads something, and then again if it has changed: the second answer is 304, or another body with another tag.
async fn read_twice(caller: &mut Caller<'_>, user: Option<&User>, path: &str, name: &str) -> anyhow::Result<Answer> {
    let answer = caller.get(user, path, name).await?;
    let etag = answer.header("etag").to_owned();
    caller.scene.records.must(answer.status == 200 && !etag.is_empty(), || format!("no tag: {}", answer.describe()));
    let builder = caller.builder(GooseMethod::Get, path)?.header("If-None-Match", &etag);
    let builder = user.into_iter().fold(builder, |builder, user| builder.bearer_auth(&user.token));
    let again = caller.ask(path, name, builder).await?;
    let is_either = again.status == 304 || (again.status == 200 && again.header("etag") != etag);
    caller.scene.records.must(is_either, || format!("neither 304 nor something new: {}", again.describe()));
    if again.status == 304 {
        caller.scene.records.note("unchanged");
    }
    Ok(answer)
}

/// Once everybody has gone: whatever passed arrives in every due feed, once, and what was deleted is nowhere.
pub(super) async fn settle(scene: &Scene) -> anyhow::Result<()> {
    let url = scene.settings.url.parse().context("the address")?;
    let mut late = GooseUser::single(url, &GooseConfiguration::parse_args_default::<&str>(&[])?)?;
    let mut caller = Caller::new(scene, &mut late);
    let deadline = Instant::now() + scene.settings.audit_wait();
    for (author, published) in scene.feed.all() {
        for name in &published.subscribers {
            let subscriber = scene.user(name.clone(), 0)?;
            delivered(&mut caller, &subscriber, &author, &published, deadline).await?;
        }
        found(&mut caller, &author, &published, deadline).await?;
        for id in published.kept.keys() {
            let post = caller.get(None, &format!("/v1/posts/{id}"), "read a post").await?;
            let is_read = post.status == 200 && text(&post.body, "author_id") == author;
            scene.records.must(is_read, || format!("it passed and is not to be read: {}", post.describe()));
        }
        for id in &published.deleted {
            let gone = caller.get(None, &format!("/v1/posts/{id}"), "read a post").await?;
            caller.must_refuse(&gone, 404, "not_found");
        }
    }
    Ok(())
}

/// Waits until somebody's feed has an author's posts, all of them, and each once.
async fn delivered(
    caller: &mut Caller<'_>,
    subscriber: &User,
    author: &str,
    published: &Published,
    deadline: Instant,
) -> anyhow::Result<()> {
    loop {
        let feed = whole_feed(caller, subscriber, author).await?;
        let is_once = feed.windows(2).all(|pair| pair[0].0 != pair[1].0);
        if is_once && feed.iter().cloned().collect::<BTreeMap<_, _>>() == published.kept {
            caller.scene.records.note("delivered");
            return Ok(());
        }
        if Instant::now() > deadline || !is_once {
            let text = format!("{} has {feed:?} of {author}, who published {published:?}", subscriber.name);
            caller.scene.records.wrong(text);
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Waits until search finds what is kept by the words of its title, and does not find what was deleted.
async fn found(caller: &mut Caller<'_>, author: &str, published: &Published, deadline: Instant) -> anyhow::Result<()> {
    loop {
        let answer = caller.get(None, &format!("/v1/search?limit=100&q=%22{author}%22"), "search").await?;
        let items = answer.body["items"].as_array().map_or(&[][..], Vec::as_slice);
        let ids = items.iter().filter(|item| text(item, "author_id") == author).map(|item| text(item, "post_id"));
        let ids: Vec<&str> = ids.collect();
        let is_all = ids.len() == published.kept.len() && published.kept.keys().all(|id| ids.contains(&id.as_str()));
        if answer.status == 200 && is_all {
            caller.scene.records.note("found");
            return Ok(());
        }
        if Instant::now() > deadline {
            caller.scene.records.wrong(format!("not what {author} published: {}", answer.describe()));
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// An author's posts in somebody's feed, by id: their ids and what they are called. A post that is there twice is here twice.
async fn whole_feed(caller: &mut Caller<'_>, user: &User, author: &str) -> anyhow::Result<Vec<(String, String)>> {
    let (mut found, mut after, mut last) = (Vec::new(), String::new(), String::new());
    for _ in 0..PAGES_MAX {
        let answer = caller.get(Some(user), &format!("/v1/feed?limit=100{after}"), "feed").await?;
        ensure!(answer.status == 200, "no feed: {}", answer.describe());
        for item in answer.body["items"].as_array().context("a feed without items")? {
            let id = text(item, "post_id");
            // Ids ascend with time, and the newest is first.
            let is_older = last.is_empty() || id <= last.as_str();
            caller.scene.records.must(is_older, || format!("{id} after {last} in the feed of {}", user.name));
            id.clone_into(&mut last);
            if text(item, "author_id") == author {
                found.push((id.to_owned(), text(item, "title").to_owned()));
            }
        }
        match answer.body["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    found.sort();
    Ok(found)
}

async fn send(
    caller: &mut Caller<'_>,
    user: &User,
    method: GooseMethod,
    path: &str,
    name: &str,
    body: Option<&Value>,
) -> anyhow::Result<Answer> {
    let builder = caller.builder(method, path)?.bearer_auth(&user.token);
    let builder = body.into_iter().fold(builder, reqwest::RequestBuilder::json);
    caller.ask(path, name, builder).await
}

fn text<'a>(body: &'a Value, member: &str) -> &'a str {
    body[member].as_str().unwrap_or_default()
}
