//! The door's connections as a web server takes them, each with whose it is. Not here: the door (`peer`).

use std::{future::pending, io, sync::Arc};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use tokio::sync::mpsc;
use tonic::transport::server::Connected as _;

use crate::peer::{Peer, PeerStream};

/// Connections that have shaken hands.
pub(super) struct ConsoleListener(mpsc::Receiver<io::Result<PeerStream>>);

/// Who is on a connection.
#[derive(Clone)]
pub(super) struct ConsolePeer(pub(super) Arc<Peer>);

impl ConsoleListener {
    pub(super) const fn new(connections: mpsc::Receiver<io::Result<PeerStream>>) -> Self {
        Self(connections)
    }
}

impl Listener for ConsoleListener {
    type Io = PeerStream;
    type Addr = Arc<Peer>;

    async fn accept(&mut self) -> (PeerStream, Arc<Peer>) {
        loop {
            match self.0.recv().await {
                Some(Ok(stream)) => {
                    let peer = stream.connect_info();
                    return (stream, peer);
                }
                Some(Err(_)) => {}
                // The door is shut: the gateway ends.
                None => pending().await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<Arc<Peer>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl Connected<IncomingStream<'_, ConsoleListener>> for ConsolePeer {
    fn connect_info(stream: IncomingStream<'_, ConsoleListener>) -> Self {
        Self(Arc::clone(stream.remote_addr()))
    }
}
