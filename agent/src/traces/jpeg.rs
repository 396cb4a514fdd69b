//! JPEG (ITU-T T.81): segments until the end of the picture. What shows it stays: frames, tables, scans, JFIF,
//! ICC profile, Adobe's transform, and from Exif which side is up. Not here: other forms.

use std::io::{self, BufRead, Write};

use super::{byte, invalid, is_more};

const START: u8 = 0xd8;
const END: u8 = 0xd9;
const SCAN: u8 = 0xda;
const REMARK: u8 = 0xfe;
const EXIF: &[u8] = b"Exif\0\0";

/// Copies a picture without what it tells beside itself. Gives whether something was left out.
pub(super) fn clean(file: &mut impl BufRead, out: &mut impl Write) -> io::Result<bool> {
    if (byte(file)?, byte(file)?) != (0xff, START) {
        return Err(invalid());
    }
    out.write_all(&[0xff, START])?;
    let mut is_changed = false;
    let mut code = marker(file)?;
    loop {
        match code {
            END => {
                out.write_all(&[0xff, END])?;
                // Phones put films and previews behind it.
                return Ok(is_more(file)? || is_changed);
            }
            0x01 | 0xd0..=0xd7 => out.write_all(&[0xff, code])?,
            START => return Err(invalid()),
            _ => {
                let content = segment(file)?;
                is_changed |= put(code, &content, out)?;
            }
        }
        code = if code == SCAN { scan(file, out)? } else { marker(file)? };
    }
}

fn marker(file: &mut impl BufRead) -> io::Result<u8> {
    if byte(file)? != 0xff {
        return Err(invalid());
    }
    loop {
        match byte(file)? {
            0xff => {}
            0 => return Err(invalid()),
            code => return Ok(code),
        }
    }
}

fn segment(file: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let length = u16::from_be_bytes([byte(file)?, byte(file)?]);
    let mut content = vec![0; usize::from(length.checked_sub(2).ok_or_else(invalid)?)];
    file.read_exact(&mut content)?;
    Ok(content)
}

/// Writes a segment, or what of it shows the picture. Gives whether something was left out.
fn put(code: u8, content: &[u8], out: &mut impl Write) -> io::Result<bool> {
    let is_kept = match code {
        0xe0 => content.starts_with(b"JFIF\0"),
        0xe2 => content.starts_with(b"ICC_PROFILE\0"),
        0xee => content.starts_with(b"Adobe"),
        0xe1 | 0xe3..=0xed | 0xef | REMARK => false,
        _ => true,
    };
    if is_kept {
        write(code, content, out)?;
    } else if let Some(side) = content.strip_prefix(EXIF).and_then(side_up).filter(|_| code == 0xe1) {
        write(code, &only_side_up(side), out)?;
    }
    Ok(!is_kept)
}

fn write(code: u8, content: &[u8], out: &mut impl Write) -> io::Result<()> {
    let length = u16::try_from(content.len().saturating_add(2)).map_err(|_| invalid())?;
    out.write_all(&[0xff, code])?;
    out.write_all(&length.to_be_bytes())?;
    out.write_all(content)
}

/// Copies the picture's data up to the next marker, and gives that.
fn scan(file: &mut impl BufRead, out: &mut impl Write) -> io::Result<u8> {
    loop {
        let one = byte(file)?;
        if one != 0xff {
            out.write_all(&[one])?;
            continue;
        }
        let mut next = byte(file)?;
        while next == 0xff {
            next = byte(file)?;
        }
        match next {
            0 | 0xd0..=0xd7 => out.write_all(&[0xff, next])?,
            code => return Ok(code),
        }
    }
}

/// Which side is up (Exif tag 0x0112), when it is not the upper one.
fn side_up(tiff: &[u8]) -> Option<u8> {
    let is_big = match tiff.get(..4)? {
        b"MM\0*" => true,
        b"II*\0" => false,
        _ => return None,
    };
    let short = |at: usize| {
        let two: [u8; 2] = tiff.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if is_big { u16::from_be_bytes(two) } else { u16::from_le_bytes(two) })
    };
    let long: [u8; 4] = tiff.get(4..8)?.try_into().ok()?;
    let first = if is_big { u32::from_be_bytes(long) } else { u32::from_le_bytes(long) };
    let first = usize::try_from(first).ok()?;
    let entries = usize::from(short(first)?);
    let entry = |number: usize| first.checked_add(2)?.checked_add(number.checked_mul(12)?);
    let found = (0..entries).filter_map(entry).find(|at| short(*at) == Some(0x0112))?;
    let side = short(found.checked_add(8)?)?;
    u8::try_from(side).ok().filter(|side| (2..=8).contains(side))
}

/// Exif that says nothing else.
fn only_side_up(side: u8) -> Vec<u8> {
    let tiff = [b'M', b'M', 0, b'*', 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, side, 0, 0, 0, 0, 0, 0];
    [EXIF, &tiff].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(code: u8, content: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write(code, content, &mut out).unwrap();
        out
    }

    /// A photograph as a telephone takes it: upside down, with a place, a remark and a film behind it.
    fn photograph(more: &[Vec<u8>], behind: &[u8]) -> Vec<u8> {
        let scan = [part(SCAN, b"\x01\x01\0"), b"ab\xff\0c\xff\xd0d".to_vec()].concat();
        let shown = [part(0xdb, b"table"), scan.clone(), part(0xc4, b"more"), scan].concat();
        [&[0xff, START], part(0xe0, b"JFIF\0\x01").as_slice(), &more.concat(), &shown, &[0xff, END], behind]
            .concat()
    }

    #[test]
    fn the_picture_stays_and_its_place_goes() {
        let intel = b"Exif\0\0II*\0\x08\0\0\0\x02\0\x0f\x01\x02\0\x04\0\0\0Cam\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0GPS 25.7N";
        let more = [
            part(0xe1, intel),
            part(0xe1, b"http://ns.adobe.com/xap/1.0/\0<x/>"),
            part(0xed, b"Photoshop 3.0\0by-line"),
            part(REMARK, b"taken at home"),
            part(0xe2, b"ICC_PROFILE\0\x01\x01profile"),
        ];
        let mut out = Vec::new();
        assert!(clean(&mut io::Cursor::new(photograph(&more, b"a film")), &mut out).unwrap());
        let kept = [part(0xe1, &only_side_up(6)), part(0xe2, b"ICC_PROFILE\0\x01\x01profile")];
        assert_eq!(out, photograph(&kept, b""));
        // What has nothing to tell is as it was.
        let mut again = Vec::new();
        let plain = photograph(&[], b"");
        assert!(!clean(&mut io::Cursor::new(&plain), &mut again).unwrap());
        assert_eq!(again, plain);
    }

    #[test]
    fn what_is_cut_anywhere_is_no_picture() {
        let whole = photograph(&[part(0xe1, b"Exif\0\0MM\0*")], b"");
        for length in 0..whole.len() {
            assert!(clean(&mut io::Cursor::new(&whole[..length]), &mut io::sink()).is_err(), "{length}");
        }
    }
}
