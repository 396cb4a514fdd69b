//! PNG (W3C): chunks until the end of the picture. What shows it stays; texts, times, Exif and what is not known
//! go. Not here: other forms.

use std::io::{self, BufRead, Read as _, Write};

use super::{invalid, is_more};

pub(super) const SIGNATURE: &[u8; 8] = b"\x89PNG\r\n\x1a\n";
const END: &[u8; 4] = b"IEND";
const CHECKSUM_BYTES: u64 = 4;

/// Chunks that say how the picture looks.
const KEPT: &[&[u8; 4]] = &[
    b"IHDR", b"PLTE", b"IDAT", END, b"tRNS", b"cHRM", b"gAMA", b"sRGB", b"iCCP", b"cICP", b"sBIT", b"bKGD",
    b"pHYs", b"hIST", b"sPLT", b"acTL", b"fcTL", b"fdAT",
];

/// Copies a picture without what it tells beside itself. Gives whether something was left out.
pub(super) fn clean(file: &mut impl BufRead, out: &mut impl Write) -> io::Result<bool> {
    let mut signature = [0; SIGNATURE.len()];
    file.read_exact(&mut signature)?;
    if signature != *SIGNATURE {
        return Err(invalid());
    }
    out.write_all(SIGNATURE)?;
    let mut is_changed = false;
    loop {
        let (mut length, mut name) = ([0; 4], [0; 4]);
        file.read_exact(&mut length)?;
        file.read_exact(&mut name)?;
        let bytes = u64::from(u32::from_be_bytes(length)) + CHECKSUM_BYTES;
        let mut content = file.by_ref().take(bytes);
        let copied = if KEPT.contains(&&name) {
            out.write_all(&length)?;
            out.write_all(&name)?;
            io::copy(&mut content, out)?
        } else {
            is_changed = true;
            io::copy(&mut content, &mut io::sink())?
        };
        if copied != bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if name == *END {
            return Ok(is_more(file)? || is_changed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        [&length, name.as_slice(), content, b"crc!"].concat()
    }

    #[test]
    fn the_picture_stays_and_its_texts_go() {
        let (head, data, end) = (chunk(b"IHDR", b"13 bytes here"), chunk(b"IDAT", b"data"), chunk(END, b""));
        let told =
            [chunk(b"tEXt", b"Author\0a name"), chunk(b"eXIf", b"MM\0*"), chunk(b"tIME", b"2026")].concat();
        let file = [SIGNATURE.as_slice(), &head, &told, &data, &end, b"behind"].concat();
        let plain = [SIGNATURE.as_slice(), &head, &data, &end].concat();
        let mut out = Vec::new();
        assert!(clean(&mut io::Cursor::new(&file), &mut out).unwrap());
        assert_eq!(out, plain);
        let mut again = Vec::new();
        assert!(!clean(&mut io::Cursor::new(&plain), &mut again).unwrap());
        assert_eq!(again, plain);
        for length in 0..plain.len() {
            assert!(clean(&mut io::Cursor::new(&plain[..length]), &mut io::sink()).is_err(), "{length}");
        }
    }
}
