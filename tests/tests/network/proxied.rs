//! An HTTP proxy on this machine, as government networks have one: it counts the ways which it made, and perhaps asks
//! who asks. Not here: who goes through it.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// Its address, and how many ways it has made; for nobody without this `Proxy-Authorization`, when there is one.
pub(crate) fn proxy(authorization: Option<&'static str>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let made = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&made);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let counted = Arc::clone(&counted);
            thread::spawn(move || drop(carry(stream.unwrap(), authorization, &counted)));
        }
    });
    (address, made)
}

fn carry(mut here: TcpStream, authorization: Option<&str>, made: &AtomicUsize) -> io::Result<()> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        here.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let wanted = authorization.map(|basic| format!("\r\nProxy-Authorization: {basic}\r\n"));
    if wanted.is_some_and(|wanted| !request.contains(&wanted)) {
        return here.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
    }
    let target = request.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
    let mut there = TcpStream::connect(target.unwrap_or_default())?;
    here.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    made.fetch_add(1, Ordering::SeqCst);
    let (mut from, mut to) = (here.try_clone()?, there.try_clone()?);
    thread::spawn(move || {
        let copied = io::copy(&mut from, &mut to);
        drop((copied, to.shutdown(Shutdown::Both)));
    });
    io::copy(&mut there, &mut here)?;
    here.shutdown(Shutdown::Both)
}
