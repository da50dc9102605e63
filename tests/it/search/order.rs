//! In which order posts are found, over how many pages, and how soon a change is seen.

use onrush::feed::search;

use super::support::{Library, inspected};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn titles_come_before_tags_before_bodies_and_of_equals_the_newest_is_first() {
    let library = Library::new().await;
    let in_title = library.add("쿠폰 안내", "본문", &[]).await;
    let in_tags = library.add("안내", "본문", &["쿠폰"]).await;
    let in_body = library.add("안내", "쿠폰 본문", &[]).await;
    let in_title_too = library.add("쿠폰 소식", "본문", &[]).await;
    let often_in_body = library.add("안내", "쿠폰 하나, 쿠폰 둘, 쿠폰 셋", &[]).await;
    let in_body_too = library.add("안내", "쿠폰 본문", &[]).await;
    let expected = [in_title_too, in_title, in_tags, often_in_body, in_body_too, in_body];
    assert_eq!(library.find("쿠폰").await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_word_itself_comes_before_what_it_is_a_part_of_and_before_its_stem() {
    let library = Library::new().await;
    let word = library.add("쿠폰", "본문", &[]).await;
    let object = library.add("쿠폰을 받는 법", "본문", &[]).await;
    let part = library.add("할인쿠폰북", "본문", &[]).await;
    assert_eq!(library.find("쿠폰").await, [object, word, part]);
    let island = library.add("제주도", "본문", &[]).await;
    let stem = library.add("제주", "본문", &[]).await;
    assert_eq!(library.find("제주도").await, [island, stem]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_have_every_post_once_while_others_are_written() {
    let library = Library::new().await;
    let mut expected = Vec::new();
    for number in 0..53 {
        let title = if number % 3 == 0 { "쿠폰 소식" } else { "소식" };
        expected.push(library.add(title, &"쿠폰 ".repeat(1 + number % 4), &[]).await);
    }
    let (mut found, mut after) = (Vec::new(), None);
    for page_no in 1.. {
        let page = library.page("쿠폰", after, 5).await;
        found.extend(page.hits.iter().map(|hit| (hit.score, hit.post.post_id)));
        library.add("쿠폰 쿠폰 쿠폰", "쿠폰", &["쿠폰"]).await;
        after = page.next;
        assert_eq!(page.hits.len(), if page_no < 11 { 5 } else { 3 });
        if after.is_none() {
            break;
        }
    }
    assert!(found.is_sorted_by(|earlier, later| earlier > later), "{found:?}");
    let mut posts: Vec<_> = found.into_iter().map(|(_, post)| post).collect();
    posts.sort_unstable();
    assert_eq!(posts, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_newest_matches_are_ranked() {
    let library = Library::with(|config| config.search.candidates_max = 100).await;
    let oldest = library.add("쿠폰", "쿠폰", &["쿠폰"]).await;
    let best = library.add("쿠폰", "쿠폰", &["쿠폰"]).await;
    for _ in 0..99 {
        library.add("소식", "쿠폰", &[]).await;
    }
    let found = library.find("쿠폰").await;
    assert_eq!((found.len(), found[0]), (100, best));
    assert!(!found.contains(&oldest));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_edited_rejected_or_deleted_is_gone_when_that_is_committed() {
    let library = Library::new().await;
    for change in [
        "UPDATE posts SET revision = revision + 1, inspection = 'pending' WHERE post_id = $1",
        "UPDATE posts SET revision = revision + 1, inspection = 'passed' WHERE post_id = $1",
        "UPDATE posts SET inspection = 'rejected' WHERE post_id = $1",
        "UPDATE posts SET revision = revision + 1, deleted_at = now(), body = '' WHERE post_id = $1",
    ] {
        let post = library.add("한정판 피규어", "본문", &[]).await;
        assert_eq!(library.find("피규어").await, [post], "{change}");
        library.change(change, post).await;
        assert!(library.find("피규어").await.is_empty(), "{change}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_index_follows_revisions_and_never_goes_back() {
    let library = Library::new().await;
    let post = library.add("옛날 제목", "본문", &[]).await;
    library.change("UPDATE posts SET revision = 2, title = '새로운 이름' WHERE post_id = $1", post).await;
    let (old, new) =
        (inspected(post, 1, "옛날 제목", "본문", vec![]), inspected(post, 2, "새로운 이름", "본문", vec![]));
    search::put(&library.database, &new).await.unwrap();
    for _ in 0..2 {
        assert_eq!(library.find("새로운").await, [post]);
        assert!(library.find("옛날").await.is_empty());
        // What comes late or again changes nothing.
        search::put(&library.database, &old).await.unwrap();
        search::put(&library.database, &new).await.unwrap();
        search::remove(&library.database, post, 1).await.unwrap();
    }
    let rows = async || -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM post_search").fetch_one(&library.database).await.unwrap()
    };
    library.change("UPDATE posts SET revision = 3, deleted_at = now() WHERE post_id = $1", post).await;
    search::remove(&library.database, post, 3).await.unwrap();
    assert_eq!(rows().await, 0);
    search::put(&library.database, &new).await.unwrap();
    assert_eq!(rows().await, 0, "a message that came again left a row of a post that is gone");
}
