//! Keys, sealing and opening on files, for trying the crate and for the interoperation trials.
//! Not here: anything that an agent needs (keys are kept in plain files).
//!
//! ```text
//! seal_file keygen KEY RECIPIENT
//! seal_file seal CONTENT SEALED ENVELOPE FROM TO[,TO…] PART CLASS RECIPIENT…
//! seal_file open SEALED CONTENT ENVELOPE FROM ME PART CLASS KEY…
//! ```
//!
//! `ENVELOPE` is 32 hexadecimal digits, `PART` and `CLASS` are numbers, the rest are ids and files.

use std::{
    env, error,
    fs::{self, File},
    io::{self, Write as _},
    process::ExitCode,
};

use seal::{ENVELOPE_ID_BYTES, Expected, HEAD_VERSION, Recipient, SealHead, SealingKey, open_unlisted, seal};

type Outcome = Result<(), Box<dyn error::Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["keygen", key, recipient] => keygen(key, recipient),
        ["seal", content, sealed, envelope, from, to, part, class, recipients @ ..] => {
            head(content, envelope, from, to, part, class)
                .and_then(|head| seal_file(&head, content, sealed, recipients))
        }
        ["open", sealed, content, envelope, from, me, part, class, keys @ ..] => {
            expected(envelope, from, me, part, class)
                .and_then(|expected| open_file(&expected, sealed, content, keys))
        }
        _ => Err("keygen, seal or open; see the first lines of this program".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nowhere is left to tell of a failure to write this.
            drop(writeln!(io::stderr(), "seal_file: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn keygen(key_file: &str, recipient_file: &str) -> Outcome {
    let key = SealingKey::generate()?;
    fs::write(key_file, key.to_text().as_bytes())?;
    fs::write(recipient_file, key.recipient().to_string())?;
    Ok(())
}

fn seal_file(head: &SealHead, content: &str, sealed: &str, recipients: &[&str]) -> Outcome {
    let recipients = recipients
        .iter()
        .map(|file| Ok(Recipient::parse(fs::read_to_string(file)?.trim_end())?))
        .collect::<Result<Vec<_>, Box<dyn error::Error>>>()?;
    seal(head, &recipients, File::open(content)?, File::create(sealed)?)?;
    Ok(())
}

fn open_file(expected: &Expected<'_>, sealed: &str, content: &str, keys: &[&str]) -> Outcome {
    let keys = keys
        .iter()
        .map(|file| Ok(SealingKey::parse(fs::read_to_string(file)?.trim_end())?))
        .collect::<Result<Vec<_>, Box<dyn error::Error>>>()?;
    let out = File::create(content)?;
    if let Err(refusal) = open_unlisted(&keys, expected, File::open(sealed)?, out) {
        fs::remove_file(content)?;
        return Err(refusal.into());
    }
    Ok(())
}

fn head(
    content: &str,
    envelope: &str,
    from: &str,
    to: &str,
    part: &str,
    class: &str,
) -> Result<SealHead, Box<dyn error::Error>> {
    Ok(SealHead {
        version: HEAD_VERSION,
        envelope_id: envelope_id(envelope)?.to_vec(),
        from: from.to_owned(),
        recipients: to.split(',').map(str::to_owned).collect(),
        part_id: part.parse()?,
        part_class: class.parse()?,
        content_bytes: fs::metadata(content)?.len(),
        media_type: "application/octet-stream".to_owned(),
        file_name: String::new(),
        content_sha256: Vec::new(),
    })
}

fn expected<'a>(
    envelope: &str,
    from: &'a str,
    me: &'a str,
    part: &str,
    class: &str,
) -> Result<Expected<'a>, Box<dyn error::Error>> {
    Ok(Expected {
        envelope_id: envelope_id(envelope)?,
        from,
        me,
        part_id: part.parse()?,
        part_class: class.parse()?,
    })
}

fn envelope_id(hex: &str) -> Result<[u8; ENVELOPE_ID_BYTES], Box<dyn error::Error>> {
    if hex.len() != 2 * ENVELOPE_ID_BYTES {
        return Err("an envelope id has 32 hexadecimal digits".into());
    }
    Ok(u128::from_str_radix(hex, 16)?.to_be_bytes())
}
