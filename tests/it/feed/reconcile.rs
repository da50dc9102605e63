//! What was lost on its way is found and mended, once; what is as it should be is left alone.

use onrush::feed::{FeedConsumer, FeedReconciler, Lane, PostId, PostOutbox, Reconciled};
use sqlx::{AssertSqlSafe, query};

use super::author::{Loops, caught_up, context, delete, readers, subscribe, write};
use crate::support::stores::{Stores, eventually};

/// What a round came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Round {
    pages: u64,
    posts: u64,
    mended: u64,
    unmended: u64,
}

/// Ticks to the end of the round.
async fn round(reconciler: &mut FeedReconciler) -> Round {
    let (mut round, mut has_ended) = (Round::default(), false);
    eventually("the round ends", async || {
        let (posts, mended, unmended) = match reconciler.tick().await.unwrap() {
            Reconciled::Page { posts, mended, unmended } => (posts, mended, unmended),
            Reconciled::Ended { posts, mended, unmended } => {
                has_ended = true;
                (posts, mended, unmended)
            }
            Reconciled::OnItsWay => return false,
            Reconciled::AnotherNode => panic!("nobody else does it"),
        };
        round.pages += 1;
        round.posts += posts;
        round.mended += mended;
        round.unmended += unmended;
        has_ended
    })
    .await;
    round
}

async fn stores() -> Stores {
    Stores::with(|config| config.feed.reconcile_grace_ms = 0).await
}

/// So many posts that everything has been done with.
async fn published(stores: &Stores, count: usize) -> Vec<PostId> {
    let mut posts = Vec::new();
    for n in 0..count {
        posts.push(write(&stores.database, "author", &format!("post {n}")).await);
    }
    eventually("all passed", async || {
        stores.count("SELECT count(*) FROM posts WHERE inspection = 'pending' AND deleted_at IS NULL").await == 0
    })
    .await;
    for lane in Lane::ALL {
        caught_up(stores, lane).await;
    }
    posts
}

/// Does something to the database that nobody should do, to so many rows.
async fn sabotage(stores: &Stores, sql: &str, post: PostId, rows: u64) {
    let done = query(AssertSqlSafe(sql.to_owned())).bind(post.0).execute(&stores.database).await.unwrap();
    assert_eq!(done.rows_affected(), rows, "{sql}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_comes_back_what_was_left_behind_goes_and_nothing_else_changes() {
    let stores = stores().await;
    for user in ["alice", "bob", "carol"] {
        subscribe(&stores, user, "author").await;
    }
    let loops = Loops::all(&stores);
    let posts = published(&stores, 6).await;
    // Who came later has what was brought then, and no more: here, the newest alone.
    subscribe(&stores, "late", "author").await;
    query("DELETE FROM inbox WHERE user_id = 'late' AND post_id <> $1")
        .bind(posts[5].0)
        .execute(&stores.database)
        .await
        .unwrap();
    // An author who is read is in no inbox.
    query("INSERT INTO read_authors VALUES ('star')").execute(&stores.database).await.unwrap();
    subscribe(&stores, "alice", "star").await;
    let read = write(&stores.database, "star", "read").await;
    delete(&stores.database, posts[4]).await;
    eventually("it is gone", async || readers(&stores, posts[4]).await.is_empty()).await;
    published(&stores, 0).await;
    let mut reconciler = loops.reconciler(&stores);
    assert_eq!(round(&mut reconciler).await, Round { pages: 1, posts: 7, ..Round::default() });

    sabotage(&stores, "DELETE FROM inbox WHERE post_id = $1", posts[0], 3).await;
    sabotage(&stores, "DELETE FROM inbox WHERE post_id = $1 AND user_id = 'bob'", posts[1], 1).await;
    sabotage(&stores, "DELETE FROM post_search WHERE post_id = $1", posts[1], 1).await;
    sabotage(&stores, "UPDATE post_search SET revision = 9 WHERE post_id = $1", posts[2], 1).await;
    sabotage(&stores, "UPDATE post_search SET revision = 0 WHERE post_id = $1", posts[3], 1).await;
    sabotage(&stores, "INSERT INTO inbox VALUES ('alice', $1), ('bob', $1)", posts[4], 2).await;
    sabotage(&stores, "INSERT INTO post_search VALUES ($1, 1, '')", posts[4], 1).await;
    sabotage(&stores, "INSERT INTO inbox VALUES ('stranger', $1)", posts[5], 1).await;
    // Below all of them: the ids of posts of one moment are neighbours.
    let ghost = PostId(posts[0].0 - 1);
    sabotage(&stores, "INSERT INTO inbox VALUES ('alice', $1)", ghost, 1).await;
    sabotage(&stores, "INSERT INTO post_search VALUES ($1, 1, '')", ghost, 1).await;
    assert_eq!(round(&mut reconciler).await, Round { pages: 1, posts: 7, mended: 10, unmended: 0 });

    for post in &posts[..4] {
        assert_eq!(readers(&stores, *post).await, ["alice", "bob", "carol"]);
    }
    assert_eq!(readers(&stores, posts[5]).await, ["alice", "bob", "carol", "late"]);
    for gone in [posts[4], ghost, read] {
        assert!(readers(&stores, gone).await.is_empty());
    }
    let as_it_stands = "SELECT count(*) FROM posts FULL JOIN post_search s USING (post_id)
         WHERE (inspection = 'passed' AND deleted_at IS NULL AND s.revision IS NOT DISTINCT FROM posts.revision)
               = (s.post_id IS NOT NULL)";
    assert_eq!(stores.count(as_it_stands).await, 7, "six that are found, and a deleted one that is not");
    assert_eq!(round(&mut reconciler).await, Round { pages: 1, posts: 7, ..Round::default() }, "nothing is done twice");
    loops.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_whose_message_vanished_is_sent_again_and_one_that_waits_for_an_operator_is_not() {
    let stores = stores().await;
    subscribe(&stores, "alice", "author").await;
    let loops = Loops::all(&stores);
    published(&stores, 1).await;
    let insert = "INSERT INTO posts (author_id, title, body) VALUES ('author', 'a title', 'text') RETURNING post_id";
    let mut posts = Vec::new();
    for _ in 0..3 {
        posts.push(PostId(sqlx::query_scalar(insert).fetch_one(&stores.database).await.unwrap()));
    }
    let [lost, refused, letter] = posts[..] else { unreachable!() };
    sabotage(&stores, "INSERT INTO post_outbox (post_id, message, state) VALUES ($1, '{}', 'failed')", refused, 1)
        .await;
    let kept =
        "INSERT INTO dead_letters (id, attempts, topic, partition, record_offset, reason, record, record_key, lane)
                VALUES ('inspect-0-0', 9, 't', 0, 0, 'no verdict', '{}', convert_to(lpad($1::text, 19, '0'), 'UTF8'),
                        'inspect')";
    sabotage(&stores, kept, letter, 1).await;
    let mut reconciler = loops.reconciler(&stores);
    assert_eq!(round(&mut reconciler).await.mended, 1);
    eventually("it was inspected and delivered", async || readers(&stores, lost).await == ["alice"]).await;
    published_but(&stores, 2).await;
    assert_eq!(round(&mut reconciler).await.mended, 0);
    assert_eq!(stores.count("SELECT count(*) FROM post_outbox").await, 3, "each was sent once");
    loops.stop().await;
}

/// All but so many posts are inspected, and the lanes have caught up.
async fn published_but(stores: &Stores, pending: i64) {
    eventually("the others passed", async || {
        stores.count("SELECT count(*) FROM posts WHERE inspection = 'pending'").await == pending
    })
    .await;
    for lane in Lane::ALL {
        caught_up(stores, lane).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_on_its_way_is_left_to_arrive() {
    let stores = stores().await;
    subscribe(&stores, "alice", "author").await;
    // Everything but what brings posts where they belong.
    let first = Loops::only(&stores, &[FeedConsumer::Lane(Lane::Fill), FeedConsumer::Lane(Lane::Inspect)]);
    let mut relay = onrush::feed::PostRelay::new(stores.database.clone(), stores.producer.clone(), &stores.config);
    let post = write(&stores.database, "author", "title").await;
    eventually("it passed", async || {
        relay.tick().await.unwrap();
        stores.count("SELECT count(*) FROM posts WHERE inspection = 'passed'").await == 1
    })
    .await;
    caught_up(&stores, Lane::Inspect).await;
    let mut reconciler = first.reconciler(&stores);
    for _ in 0..5 {
        assert_eq!(reconciler.tick().await.unwrap(), Reconciled::OnItsWay);
    }
    assert!(readers(&stores, post).await.is_empty());
    let rest = Loops::only(
        &stores,
        &[
            FeedConsumer::Lane(Lane::Deliver),
            FeedConsumer::Lane(Lane::Index),
            FeedConsumer::DeadLettersOf(Lane::Deliver),
        ],
    );
    assert_eq!(round(&mut reconciler).await.mended, 0);
    assert_eq!(readers(&stores, post).await, ["alice"]);
    first.stop().await;
    rest.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_posts_are_looked_at_page_by_page() {
    let stores = stores().await;
    let loops = Loops::all(&stores);
    published(&stores, 0).await;
    // The time limit is for what the product asks, not for what the test prepares.
    let mut preparing = stores.database.acquire().await.unwrap().detach();
    for sql in [
        "SET statement_timeout = 0",
        "INSERT INTO subscriptions VALUES ('author', 'alice', now() - interval '2 days')",
        "INSERT INTO posts (author_id, title, body, inspection, published_at)
         SELECT 'author', 't', 'b', 'passed', now() - interval '1 day' FROM generate_series(1, 100000)",
        "INSERT INTO inbox SELECT 'alice', post_id FROM posts",
        "INSERT INTO post_search SELECT post_id, 1, '' FROM posts",
        "DELETE FROM inbox WHERE post_id IN (SELECT post_id FROM posts ORDER BY post_id OFFSET 40 LIMIT 5)",
        "DELETE FROM post_search WHERE post_id IN (SELECT post_id FROM posts ORDER BY post_id DESC OFFSET 40 LIMIT 3)",
        "ANALYZE",
    ] {
        query(sql).execute(&mut preparing).await.unwrap();
    }
    let mut reconciler = loops.reconciler(&stores);
    let found = round(&mut reconciler).await;
    assert_eq!((found.posts, found.mended, found.unmended), (100_000, 8, 0));
    assert!(found.pages >= 100, "{} pages of at most 1,000", found.pages);
    assert_eq!(stores.count("SELECT count(*) FROM inbox").await, 100_000);
    assert_eq!(stores.count("SELECT count(*) FROM post_search").await, 100_000);
    loops.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_node_looks_at_a_time_and_the_next_goes_on_where_it_was() {
    let stores = Stores::with(|config| (config.feed.reconcile_grace_ms, config.feed.reconcile_max) = (0, 2)).await;
    let loops = Loops::all(&stores);
    published(&stores, 5).await;
    let (mut first, mut second) = (loops.reconciler(&stores), loops.reconciler(&stores));
    assert_eq!(first.tick().await.unwrap(), Reconciled::Page { posts: 2, mended: 0, unmended: 0 });
    assert_eq!(second.tick().await.unwrap(), Reconciled::AnotherNode);
    first.close().await;
    eventually("the lock is free", async || second.tick().await.unwrap() != Reconciled::AnotherNode).await;
    assert_eq!(first.tick().await.unwrap(), Reconciled::AnotherNode);
    assert_eq!(second.tick().await.unwrap(), Reconciled::Ended { posts: 1, mended: 0, unmended: 0 });
    loops.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_mended_is_counted_until_it_is_and_holds_nobody_up() {
    let stores = stores().await;
    for user in ["alice", "bob"] {
        subscribe(&stores, user, "author").await;
    }
    let loops = Loops::all(&stores);
    let posts = published(&stores, 2).await;
    sabotage(&stores, "DELETE FROM inbox WHERE post_id = $1 AND user_id = 'bob'", posts[0], 1).await;
    sabotage(&stores, "DELETE FROM post_search WHERE post_id = $1", posts[1], 1).await;
    let refuse = "ALTER TABLE inbox ADD CONSTRAINT refused CHECK (user_id <> 'bob') NOT VALID";
    query(refuse).execute(&stores.database).await.unwrap();
    let mut reconciler = loops.reconciler(&stores);
    assert_eq!(round(&mut reconciler).await, Round { pages: 1, posts: 2, mended: 1, unmended: 1 });
    assert_eq!(PostOutbox::read(&stores.database).await.unwrap().unmended, 1);
    query("ALTER TABLE inbox DROP CONSTRAINT refused").execute(&stores.database).await.unwrap();
    assert_eq!(round(&mut reconciler).await, Round { pages: 1, posts: 2, mended: 1, unmended: 0 });
    assert_eq!(PostOutbox::read(&stores.database).await.unwrap().unmended, 0);
    loops.stop().await;
}

/// The author's node died after the commit: nobody has told the cache, and Kafka does not have the message yet, or has
/// had it before Redis came back with less.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_that_nobody_told_of_is_told_of_whether_kafka_has_it_or_not() {
    let stores = stores().await;
    let node = context(&stores);
    let loops = Loops::only(&stores, &[]);
    let mut reconciler = loops.reconciler(&stores);
    let is_read = async |post| node.posts.find(post).await.unwrap().value.is_some();
    let (waiting, done) =
        (write(&stores.database, "author", "one").await, write(&stores.database, "author", "two").await);
    for post in [waiting, done] {
        assert!(is_read(post).await);
        delete(&stores.database, post).await;
        assert!(is_read(post).await, "nobody told of it");
    }
    sabotage(&stores, "UPDATE post_outbox SET state = 'done', done_at = now() WHERE post_id = $1", done, 2).await;
    reconciler.tick().await.unwrap();
    assert!(!is_read(waiting).await && !is_read(done).await);

    let later = write(&stores.database, "author", "three").await;
    assert!(is_read(later).await);
    delete(&stores.database, later).await;
    assert!(is_read(later).await);
    reconciler.tick().await.unwrap();
    assert!(!is_read(later).await, "also by one that has looked before");
}
