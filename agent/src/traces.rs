//! What a file tells beside its content: where and when a photograph was taken, who wrote a document. From JPEG
//! and PNG it is taken out without touching the picture; of what else may tell, people are warned. By the first
//! bytes of a file, never by its name. Not here: which files go (`document`), and where they lie (`exchange`).

mod jpeg;
mod pdf;
mod png;

use std::io::{self, BufRead, Write};

use proto::language::Language;

/// How much of the beginning tells what a file is.
const BEGINNING_BYTES: usize = 12;

/// What a file tells beside its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Told {
    /// Nothing that is known here.
    Nothing,
    /// A picture's place, time, camera and remarks were taken out.
    Removed,
    /// It may tell where and when it was recorded, and nothing was taken out.
    Place,
    /// It may name its authors, and nothing was taken out.
    Authors,
}

impl Told {
    /// The same where nothing is taken out.
    #[must_use]
    pub const fn text_as_it_is(self, language: Language) -> &'static str {
        match self {
            Self::Removed => language.pick(
                "It names the place, time or camera of the picture, and goes as it is. Take that out first, or send it \
                 through the exchange folder, which takes it out.",
                "تذكر هذه الصورة مكان التقاطها أو وقته أو الكاميرا وتُرسل كما هي. احذف ذلك أولًا أو أرسلها عبر مجلد التبادل \
                 الذي يحذفه.",
            ),
            Self::Nothing | Self::Place | Self::Authors => self.text(language),
        }
    }

    /// What it means for whoever sends the file, and what to do.
    #[must_use]
    pub const fn text(self, language: Language) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Removed => language.pick(
                "The place, time and camera that the picture named were taken out of it.",
                "حُذف من الصورة ما كان فيها من مكان التقاطها ووقته وبيانات الكاميرا.",
            ),
            Self::Place => language.pick(
                "It may tell where and when it was recorded, and that cannot be taken out here. Send pictures as JPEG \
                 or PNG, and recordings without a place.",
                "قد يكشف هذا الملف مكان تسجيله ووقته ولا يمكن حذف ذلك هنا. أرسل الصور بصيغة JPEG أو PNG، والتسجيلات من \
                 دون مكان.",
            ),
            Self::Authors => language.pick(
                "It may name who wrote or changed it. Remove the document's properties before you send it, or send it \
                 as a PDF without them.",
                "قد يذكر هذا المستند من كتبه أو عدّله. احذف خصائص المستند قبل إرساله، أو أرسله بصيغة PDF من دونها.",
            ),
        }
    }
}

/// Forms by their first bytes.
enum Form {
    Jpeg,
    Png,
    Pdf,
    /// Office documents: zip archives and the containers before them.
    Office,
    /// Pictures and recordings that may hold a place.
    Recorded,
    Other,
}

impl Form {
    fn of(beginning: &[u8]) -> Self {
        let at =
            |place: usize, word: &[u8]| beginning.get(place..).is_some_and(|rest| rest.starts_with(word));
        if at(0, b"\xff\xd8\xff") {
            Self::Jpeg
        } else if at(0, png::SIGNATURE) {
            Self::Png
        } else if at(0, b"%PDF") {
            Self::Pdf
        } else if at(0, b"PK\x03\x04") || at(0, b"\xd0\xcf\x11\xe0") || at(0, b"{\\rtf") {
            Self::Office
        } else if [&b"II*\0"[..], b"MM\0*", b"ID3", b"\x1a\x45\xdf\xa3"].iter().any(|word| at(0, word))
            || at(4, b"ftyp")
            || (at(0, b"RIFF") && (at(8, b"WEBP") || at(8, b"WAVE") || at(8, b"AVI ")))
        {
            Self::Recorded
        } else {
            Self::Other
        }
    }
}

/// What a file tells. It is not changed.
///
/// # Errors
/// Reading it.
pub fn look(file: &mut impl BufRead) -> io::Result<Told> {
    clean(file, &mut io::sink())
}

/// Copies a file without what it tells beside its content, as far as that can be taken out. On
/// [`Told::Place`] and [`Told::Authors`] what was written is worth nothing: the file goes as it is.
///
/// # Errors
/// Reading or writing.
pub fn clean(file: &mut impl BufRead, out: &mut impl Write) -> io::Result<Told> {
    let form = Form::of(beginning(file)?);
    let cleaned = match form {
        Form::Jpeg => jpeg::clean(file, out),
        Form::Png => png::clean(file, out),
        Form::Pdf => return Ok(if pdf::names_authors(file)? { Told::Authors } else { Told::Nothing }),
        Form::Office => return Ok(Told::Authors),
        Form::Recorded => return Ok(Told::Place),
        Form::Other => return Ok(Told::Nothing),
    };
    match cleaned {
        Ok(true) => Ok(Told::Removed),
        Ok(false) => Ok(Told::Nothing),
        // Not whole, or not of its form: what it holds is not known.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => {
            Ok(Told::Place)
        }
        Err(error) => Err(error),
    }
}

/// The first bytes, which stay to be read. A reader gives at least so many at once unless it has ended.
fn beginning(file: &mut impl BufRead) -> io::Result<&[u8]> {
    let buffer = file.fill_buf()?;
    Ok(buffer.get(..BEGINNING_BYTES).unwrap_or(buffer))
}

fn invalid() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

fn byte(file: &mut impl BufRead) -> io::Result<u8> {
    let mut one = [0];
    file.read_exact(&mut one)?;
    let [one] = one;
    Ok(one)
}

/// Whether something stands behind the end.
fn is_more(file: &mut impl BufRead) -> io::Result<bool> {
    Ok(!file.fill_buf()?.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(bytes: &[u8]) -> Told {
        look(&mut io::Cursor::new(bytes)).unwrap()
    }

    #[test]
    fn what_may_tell_is_known_by_its_first_bytes() {
        for (bytes, expected) in [
            (&b"plain words"[..], Told::Nothing),
            (b"", Told::Nothing),
            (b"%PDF-1.4 1 0 obj << /Title (x) >>", Told::Nothing),
            (b"%PDF-1.4 1 0 obj << /Author (x) >>", Told::Authors),
            (b"%PDF-1.5 << /Type /ObjStm >>", Told::Authors),
            (b"PK\x03\x04........word/document.xml", Told::Authors),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Told::Authors),
            (b"{\\rtf1 {\\info{\\author x}}}", Told::Authors),
            (b"\0\0\0\x18ftypheic", Told::Place),
            (b"RIFF\x10\0\0\0WEBPVP8 ", Told::Place),
            (b"MM\0*\0\0\0\x08", Told::Place),
            // A picture that is not whole is not trusted.
            (b"\xff\xd8\xff\xe1\0", Told::Place),
            (b"\x89PNG\r\n\x1a\n\0\0", Told::Place),
        ] {
            assert_eq!(told(bytes), expected, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn everything_is_said_in_both_languages() {
        for told in [Told::Removed, Told::Place, Told::Authors] {
            assert!(told.text(Language::English).is_ascii() && !told.text(Language::English).is_empty());
            assert!(told.text(Language::Arabic).chars().any(|c| ('\u{620}'..='\u{64a}').contains(&c)));
            assert!(told.text_as_it_is(Language::English).is_ascii());
            assert_ne!(told.text_as_it_is(Language::Arabic), told.text_as_it_is(Language::English));
        }
    }
}
