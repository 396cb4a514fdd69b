//! PDF: whether its author may stand in it. What is compressed or encrypted is not looked into, and counts as yes.
//! Not here: taking it out.

use std::io::{self, BufRead};

/// Words that say so, or that hide whether they do.
const WORDS: &[&[u8]] = &[b"/Author", b"/ObjStm", b"/Encrypt", b"<dc:creator", b":xmpmeta"];
/// The longest of them is shorter than this.
const OVERLAP_BYTES: usize = 12;

/// Whether the file may name who wrote it.
pub(super) fn names_authors(file: &mut impl BufRead) -> io::Result<bool> {
    let mut window: Vec<u8> = Vec::new();
    loop {
        let read = file.fill_buf()?;
        let count = read.len();
        if count == 0 {
            return Ok(false);
        }
        window.extend_from_slice(read);
        file.consume(count);
        let stands = |word: &&[u8]| window.windows(word.len()).any(|here| here == *word);
        if WORDS.iter().any(stands) {
            return Ok(true);
        }
        let from = window.len().saturating_sub(OVERLAP_BYTES);
        window.drain(..from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_across_two_reads_is_found() {
        for size in 1..20 {
            let text = b"%PDF-1.4 some content and then /Author (x)";
            let mut reader = io::BufReader::with_capacity(size, text.as_slice());
            assert!(names_authors(&mut reader).unwrap(), "{size}");
        }
        assert!(WORDS.iter().all(|word| word.len() <= OVERLAP_BYTES));
    }
}
