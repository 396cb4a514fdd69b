//! The query of an address, read by hand: a few short values, no more. Not here: what they mean.

/// Longest query that is read, in bytes.
pub(super) const QUERY_BYTES_MAX: usize = 1024;

/// A value of a query, decoded; empty when it is not there, or is no text.
pub(super) fn value(query: Option<&str>, name: &str) -> String {
    let query = query.filter(|query| query.len() <= QUERY_BYTES_MAX).unwrap_or_default();
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let found = pairs.find(|(key, _)| *key == name);
    found.and_then(|(_, value)| decoded(value)).map(|value| value.trim().to_owned()).unwrap_or_default()
}

fn decoded(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => hex(rest.next()?)?.checked_mul(16)?.checked_add(hex(rest.next()?)?)?,
            plain => plain,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// The 16 bytes of an id as it is shown, with hyphens or without.
pub(super) fn id_bytes(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<_> = text.bytes().filter(|byte| *byte != b'-').collect();
    if digits.len() != 32 {
        return None;
    }
    digits
        .chunks(2)
        .map(|pair| hex(*pair.first()?)?.checked_mul(16)?.checked_add(hex(*pair.get(1)?)?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_queries() {
        let long = format!("id={}", "a".repeat(QUERY_BYTES_MAX));
        let table = [
            (Some("id=019a&agency=ae.dfwac"), "agency", "ae.dfwac"),
            (Some("id=+019a%2D7+"), "id", "019a-7"),
            (Some("id=%D8%A7"), "id", "ا"),
            (Some("id=%d8"), "id", ""),
            (Some("id=%zz"), "id", ""),
            (Some("id=%2"), "id", ""),
            (Some("id"), "id", ""),
            (Some(long.as_str()), "id", ""),
            (None, "id", ""),
        ];
        for (query, name, expected) in table {
            assert_eq!(value(query, name), expected, "{query:?}");
        }
    }

    #[test]
    fn ids() {
        let id = "01234567-89ab-7def-8123-456789abcdef";
        assert_eq!(id_bytes(id).map(|bytes| bytes.len()), Some(16));
        assert_eq!(id_bytes(id), id_bytes(&id.replace('-', "")));
        assert_eq!((id_bytes("0123"), id_bytes(&"g".repeat(32))), (None, None));
    }
}
