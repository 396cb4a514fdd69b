//! One form of what reads the same, for comparing what people typed. Not here: comparing.

/// Small letters without accents, Arabic digits as Latin ones, one form of alif, ya and ta marbuta, no
/// vowel signs, nothing invisible.
pub(crate) fn folded(text: &str) -> String {
    lightly_folded(text).chars().flat_map(char::to_lowercase).map(one_letter).collect()
}

/// Only what nobody would call another word: no vowel signs, nothing invisible, Latin digits.
pub(crate) fn lightly_folded(text: &str) -> String {
    text.chars().filter(|c| !is_sign(*c)).map(latin_digit).collect()
}

/// Whether a character is only a mark on its neighbours, or nothing to see.
const fn is_sign(c: char) -> bool {
    matches!(c,
        '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{610}'..='\u{61a}'
        | '\u{300}'..='\u{36f}'
        | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A digit of any writing used here as a Latin one.
fn latin_digit(c: char) -> char {
    let digit = match c {
        '٠'..='٩' => u32::from(c).saturating_sub(u32::from('٠')),
        '۰'..='۹' => u32::from(c).saturating_sub(u32::from('۰')),
        '\u{ff10}'..='\u{ff19}' => u32::from(c).saturating_sub(0xff10),
        _ => return c,
    };
    char::from_digit(digit, 10).unwrap_or(c)
}

const fn one_letter(c: char) -> char {
    match c {
        'أ' | 'إ' | 'آ' | 'ٱ' => 'ا',
        'ى' | 'ی' | 'ئ' => 'ي',
        'ک' => 'ك',
        'ة' => 'ه',
        'ؤ' => 'و',
        'à'..='å' | 'ā' | 'ă' | 'ą' => 'a',
        'ç' | 'ć' | 'č' => 'c',
        'è'..='ë' | 'ē' | 'ė' | 'ę' | 'ě' => 'e',
        'ì'..='ï' | 'ī' | 'į' | 'ı' => 'i',
        'ñ' | 'ń' | 'ň' => 'n',
        'ò'..='ö' | 'ø' | 'ō' | 'ő' => 'o',
        'ù'..='ü' | 'ū' | 'ů' | 'ű' => 'u',
        'ý' | 'ÿ' => 'y',
        'š' | 'ś' | 'ş' | 'ș' => 's',
        'ž' | 'ź' | 'ż' => 'z',
        'ł' => 'l',
        'ğ' => 'g',
        '’' | 'ʼ' | '`' => '\'',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_the_same_is_the_same() {
        for (one, other) in [
            ("أحمد", "احمد"),
            ("فَاطِمَة", "فاطمه"),
            ("مـــريم", "مريم"),
            ("على", "علي"),
            ("٠٥٠", "050"),
            ("۰۵۰", "050"),
            ("José", "JOSE"),
            ("Jose\u{301}", "jose"),
            ("\u{2068}نور\u{2069}", "نور"),
            ("Ça\u{200b}ğ", "cag"),
        ] {
            assert_eq!(folded(one), folded(other), "{one}");
        }
        assert_ne!(folded("سيف"), folded("صيف"));
        assert_ne!(lightly_folded("على"), lightly_folded("علي"));
        assert_eq!(lightly_folded("عَلِي"), "علي");
    }
}
