//! Where does a text speak of it? Found with the tokens of the index, shown in the text as it was written.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::question::{Phrase, Question, Term};
use super::tokens::tokens;

/// Characters by which an excerpt is shortened so as not to begin or end within a word.
const WORD_CHARACTERS: usize = 12;

/// The whole text as HTML, with its hits marked.
pub(super) fn marked(text: &str, question: &Question) -> String {
    written(text, 0..text.len(), &hits(text, question))
}

/// The part of the text with most hits, as HTML, with these marked; its beginning if there are none.
pub(super) fn excerpt(text: &str, question: &Question, characters_max: usize) -> String {
    let hits = hits(text, question);
    let part = part(text, &hits, characters_max);
    let mut html = written(text, part.clone(), &hits);
    if part.start > 0 {
        html.insert(0, '…');
    }
    if part.end < text.len() {
        html.push('…');
    }
    html
}

/// The bytes that the question's phrases cover, in order, none twice.
fn hits(text: &str, question: &Question) -> Vec<Range<usize>> {
    let mut found: HashMap<&Term, BTreeMap<u32, Range<usize>>> =
        question.phrases().flatten().map(|(term, _)| (term, BTreeMap::new())).collect();
    tokens(text, false, |token| {
        for (term, places) in &mut found {
            let is_met =
                if term.is_prefix { token.lexeme.starts_with(&term.lexeme) } else { token.lexeme == term.lexeme };
            if is_met {
                places.insert(token.place, token.bytes.clone());
            }
        }
    });
    let mut covered: Vec<Range<usize>> = question.phrases().flat_map(|phrase| covered_by(phrase, &found)).collect();
    covered.sort_by_key(|bytes| bytes.start);
    let mut hits: Vec<Range<usize>> = Vec::new();
    for bytes in covered {
        match hits.last_mut() {
            Some(before) if bytes.start <= before.end => before.end = before.end.max(bytes.end),
            _ => hits.push(bytes),
        }
    }
    hits
}

/// What the phrase covers wherever all of it stands.
fn covered_by(phrase: &Phrase, found: &HashMap<&Term, BTreeMap<u32, Range<usize>>>) -> Vec<Range<usize>> {
    let Some((first, begin)) = phrase.first() else { return Vec::new() };
    let mut covered = Vec::new();
    for place in found[first].keys() {
        let met = phrase.iter().map(|(term, at)| found[term].get(&(place + at - begin)).cloned());
        if let Some(met) = met.collect::<Option<Vec<_>>>() {
            covered.extend(met);
        }
    }
    covered
}

/// The bytes of the part to show.
fn part(text: &str, hits: &[Range<usize>], characters_max: usize) -> Range<usize> {
    let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let count = starts.len() - 1;
    if count <= characters_max {
        return 0..text.len();
    }
    let character = |byte: usize| starts.partition_point(|start| *start < byte);
    let hits: Vec<Range<usize>> = hits.iter().map(|hit| character(hit.start)..character(hit.end)).collect();
    let fitting = |first: usize| {
        let end_max = hits[first].start + characters_max;
        hits[first..].iter().take_while(move |hit| hit.end <= end_max)
    };
    // The first of those with most: the later index loses a draw.
    let best = (0..hits.len()).max_by_key(|first| (fitting(*first).count(), std::cmp::Reverse(*first)));
    let (mut begin, shown) = best.map_or((0, 0..0), |first| {
        let shown = hits[first].start..fitting(first).last().map_or(hits[first].start, |hit| hit.end);
        let room = characters_max.saturating_sub(shown.len());
        (shown.start.saturating_sub(room / 3), shown)
    });
    begin = begin.min(count - characters_max);
    let mut end = begin + characters_max;
    let is_space = |at: usize| text[starts[at]..].starts_with(char::is_whitespace);
    if begin > 0 {
        let word_end = (begin..shown.start.min(begin + WORD_CHARACTERS)).find(|at| is_space(*at));
        begin = word_end.map_or(begin, |at| at + 1);
    }
    if end < count {
        let word_start = (shown.end.max(end.saturating_sub(WORD_CHARACTERS))..end).rev().find(|at| is_space(*at));
        end = word_start.unwrap_or(end);
    }
    starts[begin]..starts[end]
}

/// A part of the text as HTML on one line.
fn written(text: &str, part: Range<usize>, hits: &[Range<usize>]) -> String {
    let mut html = String::with_capacity(part.len() + 64);
    let mut at = part.start;
    for hit in hits.iter().filter(|hit| hit.start < part.end && hit.end > part.start) {
        let hit = hit.start.max(part.start)..hit.end.min(part.end);
        escape(&mut html, &text[at..hit.start]);
        html.push_str("<mark>");
        escape(&mut html, &text[hit.clone()]);
        html.push_str("</mark>");
        at = hit.end;
    }
    escape(&mut html, &text[at..part.end]);
    html
}

fn escape(html: &mut String, text: &str) {
    for char in text.chars() {
        match char {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            _ if char.is_whitespace() || char.is_control() => html.push(' '),
            _ => html.push(char),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(question: &str) -> Question {
        Question::parse(question, 16).unwrap()
    }

    #[test]
    fn hits_are_marked_in_the_text_as_it_was_written() {
        for (text, question, expected) in [
            ("선착순할인쿠폰을 받자", "쿠폰", "선착순할인<mark>쿠폰</mark>을 받자"),
            ("할인 쿠폰", "할인쿠폰", "<mark>할인</mark> <mark>쿠폰</mark>"),
            ("Two Tickets", "ticket", "Two <mark>Tickets</mark>"),
            ("5,000원권", "5000원", "<mark>5,000원권</mark>"),
            ("ＶＩＰ 쿠폰", "vip쿠폰", "<mark>ＶＩＰ</mark> <mark>쿠폰</mark>"),
            ("빵집과 빵을", "빵", "빵집과 <mark>빵</mark>을"),
            ("<b>쿠폰</b> & 'x'", "쿠폰", "&lt;b&gt;<mark>쿠폰</mark>&lt;/b&gt; &amp; &#39;x&#39;"),
            ("대학생 선착순", "생선", "대학생 선착순"),
            ("선착순 쿠폰", "선착순쿠폰", "<mark>선착순</mark> <mark>쿠폰</mark>"),
        ] {
            assert_eq!(marked(text, &of(question)), expected, "{question} in {text}");
        }
    }

    #[test]
    fn an_excerpt_is_where_most_is_said() {
        let filler = "아무 말도 하지 않는다. ".repeat(50);
        let text = format!("{filler}쿠폰 {filler}할인 쿠폰 행사\n{filler}");
        let shown = excerpt(&text, &of("할인 쿠폰"), 60);
        assert!(shown.contains("<mark>할인</mark> <mark>쿠폰</mark> 행사 "), "{shown}");
        assert!(shown.starts_with('…') && shown.ends_with('…'), "{shown}");
        assert!(shown.replace("<mark>", "").replace("</mark>", "").chars().count() <= 62, "{shown}");
        assert!(excerpt(&text, &of("없는"), 60).starts_with("아무 말도"));
        assert_eq!(excerpt("짧은 글", &of("없는"), 60), "짧은 글");
    }

    #[test]
    fn an_excerpt_fits_whatever_the_text_and_the_hits_are() {
        for text in ["쿠폰".repeat(200), "쿠폰 ".repeat(200), format!("{}쿠폰", "가".repeat(500)), "👩‍👩‍👧쿠폰".repeat(60)]
        {
            for characters_max in [20, 21, 119] {
                let shown = excerpt(&text, &of("쿠폰"), characters_max);
                let characters = shown.replace("<mark>", "").replace("</mark>", "").chars().count();
                assert!(characters <= characters_max + 2, "{characters} {shown}");
                assert!(shown.contains("<mark>"), "{shown}");
            }
        }
    }
}
