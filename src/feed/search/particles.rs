//! Where does a Korean word end, and its particle begin?
//!
//! No dictionary: the longest particle that fits is taken for one. Whether it fits is told by the syllable before it, as
//! 을 follows a final consonant and 를 a vowel; that alone keeps 나이 and 사과 whole.

/// What a particle asks of the syllable before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    Any,
    Consonant,
    Vowel,
    /// A vowel or ㄹ, as 로 does.
    Open,
}

use After::{Any, Consonant, Open, Vowel};

/// A particle, what it follows, and whether nouns often end so, too (고양이, 제주도): then it is only perhaps one.
const PARTICLES: &[(&str, After, bool)] = &[
    ("에서부터", Any, false),
    ("으로부터", Consonant, false),
    ("에서는", Any, false),
    ("에서도", Any, false),
    ("에서의", Any, false),
    ("에게서", Any, false),
    ("에게는", Any, false),
    ("에게도", Any, false),
    ("으로는", Consonant, false),
    ("으로도", Consonant, false),
    ("으로의", Consonant, false),
    ("까지는", Any, false),
    ("까지도", Any, false),
    ("부터는", Any, false),
    ("이라도", Consonant, false),
    ("들에게", Any, false),
    ("들에서", Any, false),
    ("들까지", Any, false),
    ("로부터", Open, false),
    ("에서", Any, false),
    ("에게", Any, false),
    ("에는", Any, false),
    ("에도", Any, false),
    ("으로", Consonant, false),
    ("까지", Any, false),
    ("부터", Any, false),
    ("보다", Any, false),
    ("처럼", Any, false),
    ("께서", Any, false),
    ("한테", Any, false),
    ("하고", Any, false),
    ("마다", Any, false),
    ("조차", Any, false),
    ("밖에", Any, false),
    ("들을", Any, false),
    ("들은", Any, false),
    ("들이", Any, false),
    ("들의", Any, false),
    ("들도", Any, false),
    ("들과", Any, false),
    ("만을", Any, false),
    ("만의", Any, false),
    ("라도", Vowel, true),
    ("이나", Consonant, true),
    ("로는", Open, true),
    ("로도", Open, true),
    ("를", Vowel, false),
    ("을", Consonant, false),
    ("은", Consonant, false),
    ("는", Vowel, false),
    ("이", Consonant, true),
    ("가", Vowel, true),
    ("과", Consonant, true),
    ("와", Vowel, true),
    ("로", Open, true),
    ("의", Any, true),
    ("에", Any, true),
    ("도", Any, true),
    ("만", Any, true),
    ("들", Any, true),
];

/// A word without its particle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stem {
    /// Syllables that are left.
    pub syllables: usize,
    /// The whole may be a noun as well.
    pub is_doubtful: bool,
}

/// The word without the longest particle that fits it; `None` if none does, or nothing would be left.
pub(super) fn stem(word: &[char]) -> Option<Stem> {
    PARTICLES.iter().find_map(|&(particle, after, is_doubtful)| {
        let syllables = word.len().checked_sub(particle.chars().count())?;
        let before = *word.get(syllables.checked_sub(1)?)?;
        let is_one = word[syllables..].iter().copied().eq(particle.chars()) && fits(after, before);
        is_one.then_some(Stem { syllables, is_doubtful })
    })
}

fn fits(after: After, before: char) -> bool {
    // Syllables stand in the order of their final consonant, 28 of them with none as the first and ㄹ as the ninth.
    let last = (u32::from(before).wrapping_sub(0xac00)) % 28;
    match after {
        After::Any => true,
        After::Consonant => last != 0,
        After::Vowel => last == 0,
        After::Open => last == 0 || last == 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stemmed(word: &str) -> String {
        let word: Vec<char> = word.chars().collect();
        word[..stem(&word).map_or(word.len(), |stem| stem.syllables)].iter().collect()
    }

    #[test]
    fn particles_go_where_they_fit_and_nothing_else_does() {
        for (word, left) in [
            ("쿠폰을", "쿠폰"),
            ("쿠폰은", "쿠폰"),
            ("티켓이", "티켓"),
            ("티켓에서는", "티켓"),
            ("서울로", "서울"),
            ("부산으로", "부산"),
            ("친구에게", "친구"),
            ("빵을", "빵"),
            ("쿠폰들을", "쿠폰"),
            ("나이", "나이"),
            ("사과", "사과"),
            ("가을", "가을"),
            ("할인가", "할인가"),
            ("을", "을"),
            ("까지", "까지"),
            ("쿠폰", "쿠폰"),
        ] {
            assert_eq!(stemmed(word), left, "{word}");
        }
    }

    #[test]
    fn longer_particles_come_first() {
        let lengths: Vec<usize> = PARTICLES.iter().map(|(particle, ..)| particle.chars().count()).collect();
        assert!(lengths.is_sorted_by(|earlier, later| earlier >= later), "{lengths:?}");
    }
}
