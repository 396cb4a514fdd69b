//! Randomness for one sealing. Not here: what is drawn from it.

use chacha20::ChaCha20Rng;
use hpke::rand_core::SeedableRng as _;
use zeroize::Zeroizing;

use crate::NoRandomness;

/// A generator seeded with 32 bytes of the operating system's randomness. One draw, so that the
/// operating system's failure is an error here instead of a panic in a crate below.
pub(crate) fn draw() -> Result<ChaCha20Rng, NoRandomness> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut_slice()).map_err(|_| NoRandomness)?;
    Ok(ChaCha20Rng::from_seed(*seed))
}
