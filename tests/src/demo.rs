//! The demo: the stage with its programs and folders, and the story that is played on it. Not here:
//! the programs themselves.
#![allow(clippy::print_stdout, reason = "it tells a story")]

mod harm;
mod stage;
mod story;

pub use stage::{Programs, Stage, build};
pub use story::{found, story};
