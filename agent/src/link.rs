//! The link to the gateway: one connection over mutual TLS, and what goes on over it: the outbox, the
//! inbox, the directory, the witness and the agency's own records. When any of it fails, all of it begins again, later and
//! later. Not here: what is written down (`office`).

pub mod backoff;
pub mod connection;
pub(crate) mod directory;
mod duty_desk;
mod evidence;
mod inbox;
mod outbox;
mod parts;
pub mod proxy;
#[cfg(test)]
pub(crate) mod tests;
mod witness;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use thiserror::Error;
use tokio::time::Instant;
use tonic::{Status, transport::Channel};

use crate::{
    clock,
    follower::NotFollowed,
    office::{LinkState, Office},
    store::StoreFault,
};
use backoff::Backoff;
use connection::{Connector, NotConnected};

/// How long a connection must have held for the next failure to count as the first.
pub const STEADY: Duration = Duration::from_secs(30);
/// How often the directory is looked at.
pub const DIRECTORY_EVERY: Duration = Duration::from_secs(5);
/// How often checkpoints are looked at and cosigned.
pub const WITNESS_EVERY: Duration = Duration::from_secs(30);
/// Most bytes of one message from the gateway.
pub const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Why the link broke.
#[derive(Debug, Error)]
pub enum Broken {
    /// There was no connection.
    #[error(transparent)]
    NotConnected(#[from] NotConnected),
    /// A call failed.
    #[error("{call}: {}", .status.message())]
    Call {
        /// Which.
        call: &'static str,
        /// How.
        status: Box<Status>,
    },
    /// The gateway closed a stream.
    #[error("the gateway closed {0}")]
    Closed(&'static str),
    /// A log cannot be followed.
    #[error(transparent)]
    NotFollowed(#[from] NotFollowed),
    /// The store. [`StoreFault::Ended`] ends the agent.
    #[error(transparent)]
    Store(#[from] StoreFault),
}

impl Broken {
    pub(crate) fn call(call: &'static str) -> impl FnOnce(Status) -> Self {
        move |status| Self::Call { call, status: Box::new(status) }
    }
}

/// The connection that is open now, if there is one: what is asked rarely goes over it too.
#[derive(Clone, Default, Debug)]
pub struct Line(Arc<Mutex<Option<Channel>>>);

impl Line {
    /// The connection.
    #[must_use]
    pub fn channel(&self) -> Option<Channel> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, channel: Option<Channel>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = channel;
    }
}

/// Keeps the link up for ever. Ends only when the store has.
///
/// `connector` is asked before each connection, so that a renewed certificate is used.
pub async fn run(
    office: Arc<Office>,
    connector: impl Fn() -> Result<Connector, NotConnected>,
    line: Line,
    mut backoff: Backoff,
) {
    loop {
        let began = Instant::now();
        let broken = session(&office, connector(), &line).await;
        line.set(None);
        let why = broken.to_string();
        if matches!(broken, Broken::Store(StoreFault::Ended)) {
            tracing::error!("the link ends: {why}");
            return;
        }
        if began.elapsed() > STEADY {
            backoff.reset();
        }
        let wait = backoff.next_wait();
        tracing::warn!(
            why,
            wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            "the link is down"
        );
        office.link.send_replace(LinkState::Down { why: Some(why), since: clock::now() });
        tokio::time::sleep(wait).await;
    }
}

async fn session(office: &Arc<Office>, connector: Result<Connector, NotConnected>, line: &Line) -> Broken {
    let connected = match connector {
        Ok(connector) => connector.connect().await,
        Err(not_connected) => Err(not_connected),
    };
    match connected {
        Ok(channel) => {
            line.set(Some(channel.clone()));
            work(office, channel).await
        }
        Err(not_connected) => Broken::NotConnected(not_connected),
    }
}

/// What goes on over a connection, until something of it fails.
async fn work(office: &Arc<Office>, channel: Channel) -> Broken {
    // The first message of a session is the last checkpoint that was seen.
    if let Err(broken) = witness::report(office, &channel).await {
        return broken;
    }
    if let Err(broken) = directory::look(office, &channel).await {
        return broken;
    }
    office.link.send_replace(LinkState::Up { since: clock::now() });
    tracing::info!("the link is up");
    let (outbox, inbox) = (outbox::run(office, &channel), inbox::run(office, &channel));
    let (directory, witness) = (directory::run(office, &channel), witness::run(office, &channel));
    let evidence = evidence::run(office, &channel);
    tokio::select! {
        broken = outbox => broken,
        broken = inbox => broken,
        broken = directory => broken,
        broken = witness => broken,
        broken = evidence => broken,
        () = office.prove.notified() => Broken::Closed("nothing: this agent did, to prove the logs anew"),
    }
}
