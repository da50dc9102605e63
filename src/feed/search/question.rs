//! What is looked for? A question as phrases of tokens, of which each word has to be met by one.
//!
//! - A Hangul word stands for its pairs of syllables in a row. From four syllables on it is also found where a space stands
//!   in it, and with one where none does: 할인쿠폰 finds 할인 쿠폰.
//! - A particle at its end need not be there: 쿠폰을 finds what 쿠폰 does. Where it may be no particle (고양이), only words that
//!   end before it are found besides (고양, not 고양시).
//! - What is written in one piece has to be met in one piece (VIP쿠폰, 5000원), and so does what stands in quotation marks.
//! - All lexemes are quoted: nothing that is typed is an operator.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::characters::Script;
use super::document::quote;
use super::particles;
use super::tokens::{Run, runs};

/// Ways to meet one word; a word with more of them is looked for as it is written.
const WAYS_MAX: usize = 24;

/// A Hangul word with more syllables is looked for as it is written.
const SPACED_SYLLABLES_MAX: usize = 12;

/// Words that say nothing by themselves.
const STOP_WORDS: &[&str] = &[
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "do", "does", "for", "from", "how", "i", "if", "in",
    "into", "is", "it", "its", "me", "my", "no", "not", "of", "on", "or", "our", "so", "such", "that", "the", "their",
    "then", "there", "these", "they", "this", "to", "us", "was", "we", "what", "when", "where", "which", "who", "will",
    "with", "you", "your",
];

/// What a token has to be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Term {
    pub lexeme: String,
    /// It need only begin so.
    pub is_prefix: bool,
}

/// Terms, each at its place.
pub(super) type Phrase = Vec<(Term, u32)>;

/// A question that looks for something.
#[derive(Debug, Clone)]
pub(super) struct Question {
    /// For each word, the phrases that meet it.
    words: Vec<Vec<Phrase>>,
    /// What counts for the rank.
    ranks: BTreeSet<String>,
}

/// Runs that have to be met in one piece.
#[derive(Debug, Default)]
struct Chunk {
    runs: Vec<Run>,
    is_quoted: bool,
}

impl Question {
    /// `None`: nothing in it can be looked for.
    pub(super) fn parse(text: &str, words_max: usize) -> Option<Self> {
        let chunks = chunks(text, words_max);
        let has_more = chunks.iter().any(|chunk| !chunk.is_stop_word());
        let chunks = chunks.iter().filter(|chunk| !has_more || !chunk.is_stop_word());
        let mut question = Self { words: Vec::new(), ranks: BTreeSet::new() };
        for chunk in chunks {
            chunk.rank(&mut question.ranks);
            question.words.push(chunk.phrases());
        }
        (!question.words.is_empty()).then_some(question)
    }

    /// The phrases, all words' together.
    pub(super) fn phrases(&self) -> impl Iterator<Item = &Phrase> {
        self.words.iter().flatten()
    }

    /// The `tsquery` that says which posts match.
    pub(super) fn matches(&self) -> String {
        self.written(written)
    }

    /// The `tsquery` that says which posts have the tokens, wherever they stand: an index answers that by itself.
    pub(super) fn holds(&self) -> String {
        self.written(|phrase| {
            let terms: Vec<String> = phrase.iter().map(|term| written(std::slice::from_ref(term))).collect();
            format!("({})", terms.join("&"))
        })
    }

    /// Who has the tokens matches.
    pub(super) fn is_without_phrases(&self) -> bool {
        self.phrases().all(|phrase| phrase.len() == 1)
    }

    fn written(&self, phrase: impl Fn(&[(Term, u32)]) -> String) -> String {
        let word = |phrases: &Vec<Phrase>| {
            let phrases: Vec<String> = phrases.iter().map(|met| phrase(met)).collect();
            format!("({})", phrases.join("|"))
        };
        self.words.iter().map(word).collect::<Vec<_>>().join("&")
    }

    /// The `tsquery` that says how well: tokens by themselves, as counting phrases costs much and tells little more of what
    /// has them all.
    pub(super) fn ranks(&self) -> String {
        let mut text = String::new();
        for lexeme in &self.ranks {
            if !text.is_empty() {
                text.push('|');
            }
            quote(&mut text, lexeme);
        }
        text
    }
}

/// `'할인'<2>'쿠폰'`.
fn written(phrase: &[(Term, u32)]) -> String {
    let mut text = String::new();
    let mut before = None;
    for (term, place) in phrase {
        if let Some(before) = before {
            let _infallible = write!(text, "<{}>", place - before);
        }
        quote(&mut text, &term.lexeme);
        text.push_str(if term.is_prefix { ":*" } else { "" });
        before = Some(*place);
    }
    text
}

fn chunks(text: &str, words_max: usize) -> Vec<Chunk> {
    let mut chunks: Vec<Chunk> = Vec::new();
    let parts: Vec<&str> = text.split(['"', '“', '”']).collect();
    let mut words = 0;
    for (index, part) in parts.iter().enumerate() {
        // The last of an odd number of marks opens nothing.
        let is_quoted = index % 2 == 1 && index + 1 < parts.len();
        let mut is_first = true;
        runs(part, |run| {
            words += 1;
            if words > words_max {
                return;
            }
            if is_first || !(is_quoted || run.is_glued) {
                chunks.push(Chunk { runs: Vec::new(), is_quoted });
            }
            is_first = false;
            if let Some(chunk) = chunks.last_mut() {
                chunk.runs.push(run.clone());
            }
        });
    }
    chunks
}

impl Chunk {
    fn is_stop_word(&self) -> bool {
        match self.runs.as_slice() {
            [run] if !self.is_quoted && run.script == Script::Alphabet => {
                let word: String = run.chars.iter().collect();
                STOP_WORDS.contains(&word.as_str())
            }
            _ => false,
        }
    }

    /// Each way to meet all of its runs.
    fn phrases(&self) -> Vec<Phrase> {
        let mut phrases = vec![Phrase::new()];
        for (index, run) in self.runs.iter().enumerate() {
            let is_last = index + 1 == self.runs.len();
            let mut ways = ways(run, is_last && !self.is_quoted, self.is_quoted, self.runs.len() > 1);
            if phrases.len() * ways.len() > WAYS_MAX {
                ways.truncate(1);
            }
            phrases = phrases
                .iter()
                .flat_map(|phrase| ways.iter().map(|way| phrase.iter().chain(way).cloned().collect()))
                .collect();
        }
        phrases
    }

    fn rank(&self, ranks: &mut BTreeSet<String>) {
        for run in &self.runs {
            let whole: String = run.chars.iter().collect();
            match run.script {
                Script::Hangul | Script::Unspaced => {
                    ranks.extend(run.chars.windows(2).map(|pair| pair.iter().collect()));
                    if let Some(stem) = particles::stem(&run.chars) {
                        ranks.insert(format!("={}", run.chars[..stem.syllables].iter().collect::<String>()));
                    }
                }
                Script::Alphabet | Script::Digit | Script::Mark | Script::Space | Script::Break => {
                    ranks.insert(run.word());
                }
            }
            ranks.insert(format!("={whole}"));
        }
    }
}

/// Each way to meet a run; the first is the one as it is written.
fn ways(run: &Run, may_end_in_particle: bool, is_quoted: bool, is_part: bool) -> Vec<Phrase> {
    let term = |lexeme: String| Term { lexeme, is_prefix: false };
    match run.script {
        Script::Hangul => hangul_ways(run, may_end_in_particle, is_quoted, is_part),
        Script::Unspaced if run.chars.len() == 1 => {
            vec![vec![(Term { lexeme: run.chars[0].into(), is_prefix: true }, run.place)]]
        }
        Script::Unspaced => vec![pairs(&run.chars, run.place)],
        Script::Alphabet | Script::Digit | Script::Mark | Script::Space | Script::Break => {
            vec![vec![(term(run.word()), run.place)]]
        }
    }
}

fn hangul_ways(run: &Run, may_end_in_particle: bool, is_quoted: bool, is_part: bool) -> Vec<Phrase> {
    let alone = |lexeme: String, is_prefix| vec![(Term { lexeme, is_prefix }, run.place)];
    if let [syllable] = run.chars[..] {
        let mut ways = vec![alone(format!("={syllable}"), false)];
        // Beside a number it is a unit, and more may follow: 5000원 finds 5000원권.
        if is_part && !is_quoted {
            ways.push(alone(syllable.into(), true));
        }
        return ways;
    }
    let spaced = |chars: &[char]| {
        if is_quoted { vec![pairs(chars, run.place)] } else { with_spaces(chars, run.place) }
    };
    match particles::stem(&run.chars).filter(|_| may_end_in_particle) {
        None => spaced(&run.chars),
        Some(stem) if stem.syllables == 1 => {
            let mut ways = spaced(&run.chars);
            ways.push(alone(format!("={}", run.chars[0]), false));
            ways
        }
        Some(stem) if stem.is_doubtful => {
            let mut ways = spaced(&run.chars);
            ways.extend(with_spaces(&run.chars[..stem.syllables], run.place).into_iter().map(|mut way| {
                if let Some((last, _)) = way.last_mut() {
                    last.lexeme.insert(0, '$');
                }
                way
            }));
            ways
        }
        // What has the word with its particle has the word.
        Some(stem) => spaced(&run.chars[..stem.syllables]),
    }
}

fn pairs(chars: &[char], place: u32) -> Phrase {
    chars.windows(2).zip(place..).map(|(pair, place)| (pair_term(pair), place)).collect()
}

fn pair_term(pair: &[char]) -> Term {
    Term { lexeme: pair.iter().collect(), is_prefix: false }
}

/// The syllables in a row, with a space before any of them or none, as long as two stay together.
///
/// The word is cut into twos and threes, in each way that there is. What stands between two cuts has to be in one piece;
/// over a cut nothing is asked but that the next syllable follows. So each way also finds the word in one piece.
fn with_spaces(chars: &[char], place: u32) -> Vec<Phrase> {
    if !(4..=SPACED_SYLLABLES_MAX).contains(&chars.len()) {
        return vec![pairs(chars, place)];
    }
    let mut phrases = Vec::new();
    cut(chars, place, &mut Phrase::new(), &mut phrases);
    phrases
}

fn cut(chars: &[char], place: u32, before: &mut Phrase, phrases: &mut Vec<Phrase>) {
    if chars.is_empty() {
        phrases.push(before.clone());
    }
    for (syllables, next) in [(2, place + 2), (3, place + 3)] {
        if let Some((piece, rest)) = chars.split_at_checked(syllables)
            && rest.len() != 1
        {
            let length = before.len();
            before.extend(pairs(piece, place));
            cut(rest, next, before, phrases);
            before.truncate(length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> String {
        Question::parse(text, 16).map_or_else(String::new, |question| question.matches().replace('\'', ""))
    }

    #[test]
    fn questions_become_phrases() {
        for (text, expected) in [
            ("쿠폰", "(쿠폰)"),
            ("쿠폰을", "(쿠폰)"),
            ("빵", "(=빵)"),
            ("빵을", "(빵을|=빵)"),
            ("고양이", "(고양<1>양이|$고양)"),
            ("할인쿠폰", "(할인<2>쿠폰)"),
            ("할인 쿠폰", "(할인)&(쿠폰)"),
            ("선착순쿠폰", "(선착<2>순쿠<1>쿠폰|선착<1>착순<2>쿠폰)"),
            ("VIP쿠폰", "(vip<1>쿠폰)"),
            ("5,000원", "(5000<1>=원|5000<1>원:*)"),
            ("\"할인쿠폰 5장\"", "(할인<1>인쿠<1>쿠폰<2>5<1>=장)"),
            ("\"쿠폰", "(쿠폰)"),
            ("the tickets", "(ticket)"),
            ("the", "(the)"),
            ("東京", "(東京)"),
            ("東", "(東:*)"),
            ("&|!():*<->", ""),
            ("쿠폰 | !할인", "(쿠폰)&(할인)"),
        ] {
            assert_eq!(asked(text), expected, "{text}");
        }
    }

    #[test]
    fn a_long_question_stays_small() {
        let words = "쿠폰 ".repeat(100);
        assert_eq!(asked(&words).matches('&').count(), 15);
        for text in ["가나다라마바사아자차카타".repeat(16), "가나다라마1".repeat(33)] {
            assert!(asked(&text).len() < 4_000, "{}", asked(&text).len());
        }
    }
}
