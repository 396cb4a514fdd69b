//! The hub: IO around the rules. So far its heart: the one writer over the journal, and what follows
//! it (index, tiles, receipts). Not here yet: TLS, services, console, administration.
//!
//! The path of a command through this crate goes one way: [`writer`] decides by `proto`'s rules and
//! appends to the journal, which is the commit point; then the answer, the [`index`] and the
//! [`tiles`] follow. What follows is derived: it may be lost at any time, and is built again from
//! the journal.

pub mod fault;
pub mod history;
pub mod index;
pub mod start;
pub mod tiles;
pub mod verify;
pub mod writer;
