//! The hub: IO around the rules. It decides nothing by itself.
//!
//! The path of an envelope goes one way: [`peer`] makes a caller of a verified certificate; a
//! [`service`] limits, parses and verifies signatures; the [`hub`] feeds the one [`writer`], which
//! decides by `proto`'s rules and appends to the journal, the commit point; then the answer, the
//! mail, the [`index`] and the [`tiles`] follow. What follows is derived: it may be lost at any time,
//! and is built again from the journal.

pub mod admin;
pub mod alerts;
pub mod backup;
pub mod clock;
pub mod config;
pub mod console;
pub mod enrolment;
pub mod fault;
pub mod history;
pub mod hub;
pub mod index;
pub mod init;
pub mod metrics;
pub mod network;
pub mod operations;
pub mod parts;
pub mod peer;
pub mod place;
pub mod published;
pub mod restoring;
pub mod retention;
pub mod sandbox;
pub mod serve;
pub mod service;
pub mod start;
pub mod statistics;
pub mod telemetry;
pub mod tiles;
pub mod upkeep;
pub mod verify;
pub mod writer;
