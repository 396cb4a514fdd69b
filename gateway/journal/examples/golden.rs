//! Writes the golden journal into an empty directory, for the next version of the format:
//! `cargo run -p journal --example golden -- DIRECTORY`. Not here: its inputs.

#[allow(dead_code, missing_docs, unreachable_pub, reason = "shared with the test that reads it")]
#[path = "../tests/golden/recipe.rs"]
mod recipe;

use std::{error::Error, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args_os().nth(1).ok_or("which directory?")?;
    recipe::write(&PathBuf::from(directory))
}
