//! Names of people in a text, in Arabic and Latin letters, however they are written. Not here: numbers.

use crate::folded::folded;

/// From this length on a name is found inside a longer word, too.
const INSIDE_CHARS_MIN: usize = 6;
/// A shorter one is found only as it stands, without what Arabic writes onto a word.
const PREFIXED_CHARS_MIN: usize = 3;
/// A single letter is no name.
const NAME_CHARS_MIN: usize = 2;

/// Words that belong to the word behind them: with it they are a name, alone they are none.
const PARTICLES: &[&str] = &[
    "al", "el", "bin", "ibn", "bint", "ben", "binti", "abu", "abo", "abi", "um", "umm", "de", "da", "del",
    "della", "dos", "van", "von", "la", "le", "san", "st", "ال", "بن", "ابن", "بنت", "ابو", "ابي", "ابا",
    "ام",
];
/// The same, and what is behind them is no name without them: Abdullah, but not God.
const SERVANTS: &[&str] = &["abd", "abdul", "abdel", "abdal", "عبد"];
/// Words of every sentence which are also names, folded. As names they are found only as they were
/// written: على is not علي, and may is not May.
const ORDINARY: &[&str] = &[
    "ان", "من", "علي", "في", "عن", "او", "لا", "ما", "لم", "لن", "مع", "هي", "هو", "هم", "كل", "قد", "ثم",
    "بل", "اذا", "الي", "حتي", "بعد", "قبل", "كان", "غير", "اب", "اخ", "هذا", "هذه", "ذلك", "منذ", "عند",
    "لدي", "متي", "اي", "له", "لها", "به", "بها", "اما", "كما", "بين", "هل", "an", "may", "will", "so", "do",
    "in", "on", "is", "no", "my", "me", "he", "she", "the", "and", "for", "her", "his", "has", "had", "not",
    "was", "are", "can", "you", "day", "man", "son", "sun", "to", "by", "of", "or", "at", "as", "it", "we",
    "mark", "bill", "grant", "hope", "faith", "joy", "grace", "mercy", "rose",
];

/// A name to look for.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Name {
    folded: String,
    chars: usize,
    /// As it was written, where an ordinary word folds to the same.
    exact: Option<String>,
}

impl Name {
    fn new(written: &str) -> Option<Self> {
        let folded = folded(written);
        let chars = folded.chars().count();
        let exact = ORDINARY.contains(&folded.as_str()).then(|| written.to_owned());
        (chars >= NAME_CHARS_MIN).then_some(Self { folded, chars, exact })
    }

    fn is(&self, word: &Word) -> bool {
        if let Some(exact) = &self.exact {
            let bare = word.written.strip_prefix(['و', 'ف', 'ب', 'ل', 'ك']);
            return word.written == *exact || bare == Some(exact.as_str());
        }
        if self.chars < PREFIXED_CHARS_MIN {
            return word.folded == self.folded;
        }
        if self.chars >= INSIDE_CHARS_MIN && word.folded.contains(self.folded.as_str()) {
            return true;
        }
        word.bare().iter().any(|bare| self.is_spelt(bare))
    }

    /// Whether a word is this name, with what both languages put behind one.
    fn is_spelt(&self, word: &str) -> bool {
        let rest = word.strip_prefix(self.folded.as_str());
        rest.is_some_and(|rest| matches!(rest, "" | "s" | "h" | "ا"))
            || self.folded.strip_suffix('h').is_some_and(|open| open == word)
    }
}

struct Word {
    written: String,
    folded: String,
}

impl Word {
    fn new(written: String) -> Self {
        Self { folded: folded(&written), written }
    }

    /// The word, and what is left when the letters that Arabic writes onto a word are taken off.
    fn bare(&self) -> Vec<&str> {
        let mut forms = vec![self.folded.as_str()];
        for letters in [&["و", "ف"][..], &["ب", "ل", "ك"][..], &["ال", "لل"][..]] {
            let shorter: Vec<_> = forms
                .iter()
                .flat_map(|form| letters.iter().filter_map(|letter| form.strip_prefix(letter)))
                .filter(|rest| rest.chars().count() >= NAME_CHARS_MIN)
                .collect();
            forms.extend(shorter);
        }
        forms
    }
}

fn words(text: &str) -> Vec<Word> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(|word| Word::new(word.to_owned())).collect()
}

/// The names in what somebody is called. The text is lightly folded.
pub(super) fn of(name: &str) -> Vec<Name> {
    let light = crate::folded::lightly_folded(name);
    let words = words(&light);
    let mut names = Vec::new();
    let mut served = false;
    for (place, word) in words.iter().enumerate() {
        let is_servant = SERVANTS.contains(&word.folded.as_str());
        let is_particle = is_servant || PARTICLES.contains(&word.folded.as_str());
        if let Some(next) = words.get(place.saturating_add(1)).filter(|_| is_particle) {
            names.extend(Name::new(&format!("{}{}", word.written, next.written)));
        }
        // What stands alone is a name, even if it is a particle elsewhere.
        if !is_particle && !served || words.len() == 1 {
            names.extend(Name::new(&word.written));
            let bare =
                word.written.strip_prefix("ال").filter(|bare| bare.chars().count() >= PREFIXED_CHARS_MIN);
            names.extend(bare.and_then(Name::new));
        }
        served = is_servant;
    }
    names
}

/// Whether one of these names stands in a text, which is lightly folded.
pub(super) fn stand_in(names: &[Name], text: &str) -> bool {
    if names.is_empty() {
        return false;
    }
    let words = words(text);
    let pairs = words.iter().zip(words.iter().skip(1));
    let pairs = pairs.map(|(one, next)| Word::new(format!("{}{}", one.written, next.written)));
    let joined: Vec<Word> = pairs.collect();
    // Two words together are looked through for whole names only, so that no name is made of two others' ends.
    let in_pairs = |name: &Name| {
        name.chars > PREFIXED_CHARS_MIN
            && joined.iter().any(|pair| pair.bare().iter().any(|bare| name.is_spelt(bare)))
    };
    names.iter().any(|name| words.iter().any(|word| name.is(word)) || in_pairs(name))
}
