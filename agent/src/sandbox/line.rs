//! The line between the own agency's agent and the gateway, on which faults are made. What goes over it is sealed
//! by TLS, and stays as it is. Not here: ending programs (`hub`, `daemon`).

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    time::sleep,
};

/// How much is read at a time.
const RUN_BYTES: usize = 16 * 1024;
/// How slow a line can be made: a minute for each run.
pub const SLOW_MS_MAX: u64 = 60 * 1000;

/// How the line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is wrong with it.
    None,
    /// Each run of bytes takes so long.
    Slow(Duration),
    /// It is cut, and stays so.
    Down,
}

/// Carries connections to the gateway until it is dropped. What is open when the line goes down is cut.
pub async fn carry(listener: TcpListener, gateway: SocketAddr, fault: watch::Receiver<Fault>) {
    loop {
        let Ok((near, _)) = listener.accept().await else { continue };
        let mut fault = fault.clone();
        tokio::spawn(async move {
            let state = fault.clone();
            tokio::select! {
                // Gone with the sandbox, or down.
                _ = fault.wait_for(|fault| *fault == Fault::Down) => {}
                () = join(near, gateway, state) => {}
            }
        });
    }
}

async fn join(near: TcpStream, gateway: SocketAddr, fault: watch::Receiver<Fault>) {
    let Ok(far) = TcpStream::connect(gateway).await else { return };
    drop((near.set_nodelay(true), far.set_nodelay(true)));
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    tokio::join!(copy(near_in, far_out, fault.clone()), copy(far_in, near_out, fault));
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, fault: watch::Receiver<Fault>) {
    let mut run = vec![0; RUN_BYTES];
    while let Ok(read @ 1..) = from.read(&mut run).await {
        let state = *fault.borrow();
        if let Fault::Slow(each) = state {
            sleep(each).await;
        }
        if to.write_all(run.get(..read).unwrap_or_default()).await.is_err() {
            return;
        }
    }
    drop(to.shutdown().await);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_carries_and_is_cut_and_carries_again() {
        let gateway = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (to, here) = (gateway.local_addr().unwrap(), listener.local_addr().unwrap());
        let (fault, state) = watch::channel(Fault::None);
        let carrying = tokio::spawn(carry(listener, to, state));
        let mut byte = [0];
        let mut near = TcpStream::connect(here).await.unwrap();
        let (mut far, _) = gateway.accept().await.unwrap();
        near.write_all(b"a").await.unwrap();
        far.read_exact(&mut byte).await.unwrap();
        assert_eq!(&byte, b"a");
        fault.send_replace(Fault::Down);
        // The end, or a reset: either way it is cut.
        assert!(matches!(near.read(&mut byte).await, Ok(0) | Err(_)));
        fault.send_replace(Fault::Slow(Duration::from_millis(1)));
        let mut near = TcpStream::connect(here).await.unwrap();
        let (mut far, _) = gateway.accept().await.unwrap();
        far.write_all(b"b").await.unwrap();
        near.read_exact(&mut byte).await.unwrap();
        assert_eq!(&byte, b"b");
        carrying.abort();
    }
}
