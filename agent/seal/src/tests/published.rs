//! Vectors that others published, against the container without our head and padding.

use std::{collections::BTreeMap, fs, io::BufReader, path::Path};

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{
    NotOpened, SealingKey,
    file_key::FileKey,
    header::Header,
    payload::{ChunkOpener, Place},
    vectors::hex,
};

struct Vector {
    name: String,
    keys: BTreeMap<String, String>,
    file: Vec<u8>,
}

impl Vector {
    fn all(folder: &str) -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(folder);
        let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths.iter().map(|path| Self::read(path)).collect()
    }

    fn read(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap();
        let end = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap();
        let keys: BTreeMap<String, String> = std::str::from_utf8(&bytes[..end])
            .unwrap()
            .lines()
            .filter_map(|line| line.split_once(": "))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        let mut file = bytes[end + 2..].to_vec();
        if keys.contains_key("compressed") {
            file = miniz_oxide::inflate::decompress_to_vec_zlib(&file).unwrap();
        }
        Self { name: path.file_name().unwrap().to_str().unwrap().to_owned(), keys, file }
    }

    fn file_key(&self) -> FileKey {
        FileKey::new(Zeroizing::new(hex(&self.keys["file key"]).try_into().unwrap()))
    }

    fn has_payload(&self, plaintext: &[u8]) -> bool {
        hex(&self.keys["payload"]) == Sha256::digest(plaintext).as_slice()
    }
}

/// Everything that chunks release, and how it ended.
fn open_chunks(file_key: &FileKey, payload: &[u8]) -> (Vec<u8>, Result<(), NotOpened>) {
    let mut released = Vec::new();
    let mut chunks = match ChunkOpener::new(file_key, payload) {
        Ok(chunks) => chunks,
        Err(refusal) => return (released, Err(refusal)),
    };
    loop {
        match chunks.open_next() {
            Ok((chunk, place)) => {
                released.extend_from_slice(chunk);
                if place == Place::Last {
                    return (released, Ok(()));
                }
            }
            Err(refusal) => return (released, Err(refusal)),
        }
    }
}

fn open_hybrid(vector: &Vector) -> Result<Vec<u8>, NotOpened> {
    let key = SealingKey::parse(&vector.keys["identity"]).unwrap();
    let mut source = BufReader::new(vector.file.as_slice());
    let header = Header::read(&mut source)?;
    let file_key = header.unwrap(&[key])?;
    let mut chunks = ChunkOpener::new(&file_key, source)?;
    let (chunk, place) = chunks.open_next()?;
    assert_eq!(place, Place::Last);
    Ok(chunk.to_vec())
}

#[test]
fn the_hybrid_vectors_open_or_are_refused_as_they_say() {
    // Ours, where we are stricter than age: we never mix types, and never grease.
    let stricter = [
        ("hybrid_and_x25519", NotOpened::OtherRecipientType),
        ("hybrid_grease", NotOpened::OtherRecipientType),
    ];
    let refusals = BTreeMap::from([
        ("hybrid_bad_tag", NotOpened::NoKeyFits),
        ("hybrid_currupted_enc_mlkem", NotOpened::NoKeyFits),
        ("hybrid_currupted_enc_x25519", NotOpened::NoKeyFits),
        ("hybrid_extra_argument", NotOpened::Stanza),
        ("hybrid_identity", NotOpened::LowOrder),
        ("hybrid_long_file_key", NotOpened::Stanza),
        ("hybrid_long_share", NotOpened::Stanza),
        ("hybrid_low_order", NotOpened::LowOrder),
        ("hybrid_no_match", NotOpened::NoKeyFits),
        ("hybrid_not_canonical_body", NotOpened::Stanza),
        ("hybrid_not_canonical_enc", NotOpened::Stanza),
        ("hybrid_short_share", NotOpened::Stanza),
        ("hybrid_uppercase", NotOpened::OtherRecipientType),
        ("hybrid_x25519_arg", NotOpened::OtherRecipientType),
    ]);
    let vectors = Vector::all("cctv");
    assert_eq!(vectors.len(), 18);
    for vector in &vectors {
        let name = vector.name.as_str();
        let opened = open_hybrid(vector);
        if let Some((_, refusal)) = stricter.iter().find(|(stricter, _)| *stricter == name) {
            assert_eq!(vector.keys["expect"], "success", "{name}");
            assert_eq!(opened, Err(*refusal), "{name}");
        } else if vector.keys["expect"] == "success" {
            assert!(vector.has_payload(&opened.unwrap()), "{name}");
        } else {
            assert_eq!(opened, Err(refusals[name]), "{name}");
        }
    }
}

#[test]
fn the_stream_vectors_open_or_are_refused_as_they_say() {
    let vectors = Vector::all("cctv-stream");
    assert_eq!(vectors.len(), 28);
    // A full chunk that ends the file but is not marked as its last, or the reverse. age's own
    // programs try both marks, release the chunk, and then fail; we know where the file ends, and
    // release nothing of it.
    let releases_less = [
        "stream_no_final_full",
        "stream_no_final_two_chunks_full",
        "stream_trailing_garbage_long",
        "stream_trailing_garbage_short",
        "stream_two_final_chunks",
        "stream_two_final_chunks_full",
        "stream_two_final_chunks_second",
    ];
    for vector in &vectors {
        let mac = vector.file.windows(5).position(|bytes| bytes == b"\n--- ");
        let line = mac.unwrap() + 1;
        let end = line + vector.file[line..].iter().position(|byte| *byte == b'\n').unwrap();
        let (released, ended) = open_chunks(&vector.file_key(), &vector.file[end + 1..]);
        let name = &vector.name;
        match vector.keys["expect"].as_str() {
            // Ours is never empty, so an empty payload is cut short.
            "success" if name == "stream_empty_payload" => {
                assert_eq!(ended, Err(NotOpened::Truncated));
            }
            "success" => assert_eq!(ended, Ok(()), "{name}"),
            "payload failure" | "header failure" => assert!(ended.is_err(), "{name}"),
            other => panic!("{name}: {other}"),
        }
        if !releases_less.contains(&name.as_str()) && vector.keys.contains_key("payload") {
            assert!(vector.has_payload(&released), "{name}");
        }
    }
}
