//! Whole networks: real programs, real TLS, real files. One program, so that what all share is built once,
//! and so that tests which mostly wait for their programs wait beside each other. Not here: what measures how
//! long others wait (`hostile`), and what needs the machine for itself (`simulation`, `kill`).

mod agent_backup;
mod agreements;
mod anew;
mod attachments;
mod console;
mod demo;
mod doctor;
mod drill;
mod enrolment;
mod erasure;
mod exchange;
mod forms;
mod gateway_backup;
mod gateway_shard;
mod issuing;
mod leaks;
mod lifecycle;
mod limits;
mod local_api;
mod notices;
mod operating;
mod operations;
mod proxied;
mod refusals;
mod renewal;
mod retention;
mod rotation;
mod sandbox;
mod services;
mod staged;
mod statistics;
mod traces;
