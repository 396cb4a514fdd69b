//! Salts for evidence: independent random values from the operating system, drawn many at a time.

use proto::evidence::{SALT_BYTES, Salt};

/// Drawn in one call.
const DRAWN: usize = 256;

/// Random values that were drawn and not used yet.
pub(super) struct Salts(Vec<[u8; SALT_BYTES]>);

impl Salts {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// The next one. Each is given once.
    pub(super) fn next(&mut self) -> Salt {
        if let Some(salt) = self.0.pop() {
            return Salt(salt);
        }
        let mut drawn = vec![[0; SALT_BYTES]; DRAWN];
        let filled = getrandom::fill(drawn.as_flattened_mut());
        // Without randomness every record could be guessed: nothing may go on.
        assert!(filled.is_ok(), "the operating system gives no randomness");
        self.0 = drawn;
        self.next()
    }
}
