//! Posts for the benchmarks: Korean and English text from a few hundred words, by a rule, so that each run has the same.

use onrush::database::Database;

/// Words that a text is made of, with those that questions ask for among them.
pub const WORDS: [&str; 60] = [
    "쿠폰",
    "할인쿠폰",
    "선착순쿠폰",
    "선착순",
    "이벤트",
    "한정판",
    "운동화",
    "공연",
    "티켓",
    "예매",
    "콘서트",
    "뮤지컬",
    "좌석",
    "오픈",
    "오늘",
    "내일",
    "아침",
    "저녁",
    "서울",
    "부산",
    "제주도",
    "여행",
    "숙소",
    "맛집",
    "커피",
    "디저트",
    "케이크",
    "빵집",
    "배송",
    "무료배송",
    "신상품",
    "가방",
    "지갑",
    "시계",
    "화장품",
    "향수",
    "노트북",
    "키보드",
    "이어폰",
    "충전기",
    "게임",
    "만화",
    "소설",
    "영화",
    "드라마",
    "음악",
    "coupon",
    "ticket",
    "discount",
    "limited",
    "edition",
    "concert",
    "free",
    "shipping",
    "opening",
    "seats",
    "weekend",
    "special",
    "summer",
    "winter",
];

/// What stands behind a word of Korean, more often nothing.
const PARTICLES: [&str; 12] = ["", "", "", "", "을", "를", "이", "가", "은", "는", "에서", "으로"];

/// The sentence of a post: so many words, drawn by a rule from its number.
#[must_use]
pub fn text(post: usize, words: usize) -> String {
    let mut state = (post as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut draw = |below: usize| {
        // Xorshift (Marsaglia 2003): good enough to spread words.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap_or(0)
    };
    let mut text = String::new();
    for at in 0..words {
        // Common words are common: the smaller of two draws.
        let word = WORDS[draw(WORDS.len()).min(draw(WORDS.len()))];
        if at > 0 {
            text.push(' ');
        }
        text.push_str(word);
        if !word.is_ascii() {
            text.push_str(PARTICLES[draw(PARTICLES.len())]);
        }
    }
    // A word that hardly anybody else uses.
    text + &format!(" 제품{}호", post % 20_000)
}

/// Puts so many passed posts into the table, and answers their ids, ascending.
pub async fn insert(database: &Database, count: usize, body_words: usize) -> anyhow::Result<Vec<i64>> {
    /// Rows of one statement.
    const AT_ONCE: usize = 2_000;
    let mut ids = Vec::with_capacity(count);
    for first in (0..count).step_by(AT_ONCE) {
        let posts = first..count.min(first + AT_ONCE);
        let titles: Vec<String> = posts.clone().map(|post| text(post, 4)).collect();
        let bodies: Vec<String> = posts.clone().map(|post| text(post + 1_000_003, body_words)).collect();
        let authors: Vec<String> = posts.map(|post| format!("author-{}", post % 100)).collect();
        let rows: Vec<i64> = sqlx::query_scalar(
            "INSERT INTO posts (author_id, title, body, category, tags, inspection)
             SELECT author, title, body, 'general', '{쿠폰}', 'passed'
             FROM unnest($1::text[], $2::text[], $3::text[]) AS new (author, title, body) RETURNING post_id",
        )
        .bind(authors)
        .bind(titles)
        .bind(bodies)
        .fetch_all(database)
        .await?;
        ids.extend(rows);
    }
    ids.sort_unstable();
    Ok(ids)
}

/// The paths of posts.
#[must_use]
pub fn paths(ids: &[i64]) -> Vec<String> {
    ids.iter().map(|id| format!("/v1/posts/{id:019}")).collect()
}
