//! A request whose files come piece by piece: the request first, then the files in their order. Whatever their size,
//! no more than a few runs of them are in memory. Not here: what becomes of the request (`local`).

use std::{sync::Arc, time::Duration};

use tokio::{task::spawn_blocking, time::timeout};
use tonic::{Status, Streaming};

use super::{file, store_status};
use crate::{
    api::{self, streamed_request::Part},
    document::{Content, File},
    spool::{
        Spool, SpoolFault,
        veiled::{Veiled, Veiling},
    },
    store::StoreFault,
};

/// Longest file that is taken: what any agreement can allow.
pub const FILE_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;
/// Most files of one request.
pub const FILES_MAX: usize = 64;
/// How long the next piece may take.
pub const PIECE_TIME_MAX: Duration = Duration::from_secs(60);

/// Pieces of a request.
#[tonic::async_trait]
pub(super) trait Pieces: Send {
    /// The next one; none at the end.
    async fn next(&mut self) -> Result<Option<Part>, Status>;
}

#[tonic::async_trait]
impl Pieces for Streaming<api::StreamedRequest> {
    async fn next(&mut self) -> Result<Option<Part>, Status> {
        let piece = timeout(PIECE_TIME_MAX, self.message()).await;
        let piece = piece.map_err(|_| Status::deadline_exceeded("the next piece did not come in time"))??;
        match piece {
            Some(api::StreamedRequest { part: Some(part) }) => Ok(Some(part)),
            Some(api::StreamedRequest { part: None }) => Err(Status::invalid_argument("a piece is empty")),
            None => Ok(None),
        }
    }
}

/// The files of a request: those that have neither content nor path follow in the stream.
pub(super) async fn files(
    named: Vec<api::File>,
    pieces: &mut impl Pieces,
    spool: &Spool,
) -> Result<Vec<File>, Status> {
    if named.len() > FILES_MAX {
        return Err(Status::invalid_argument(format!("at most {FILES_MAX} files go with a request")));
    }
    let mut files = Vec::with_capacity(named.len());
    for one in named {
        if !one.content.is_empty() || !one.path.is_empty() {
            let here = spawn_blocking(move || file(one)).await;
            files.push(here.map_err(|_| store_status(&StoreFault::Ended))??);
            continue;
        }
        let veiled = take(pieces, spool).await?;
        files.push(File { content: Content::Veiled(Arc::new(veiled)), ..file(one)? });
    }
    match pieces.next().await? {
        None => Ok(files),
        Some(_) => {
            Err(Status::invalid_argument("there are more pieces than files that were named without content"))
        }
    }
}

/// One file, up to its end.
async fn take(pieces: &mut impl Pieces, spool: &Spool) -> Result<Veiled, Status> {
    let mut veiling = spool.veiling().map_err(spooled)?;
    loop {
        match pieces.next().await? {
            Some(Part::Chunk(chunk)) => veiling = add(veiling, chunk).await?,
            Some(Part::EndOfFile(true)) => {
                return spawn_blocking(|| veiling.finish()).await.map_err(|_| ended())?.map_err(spooled);
            }
            Some(Part::EndOfFile(false) | Part::Send(_) | Part::Act(_)) => {
                return Err(Status::invalid_argument(
                    "behind the request come chunks, and end_of_file after each file",
                ));
            }
            // Half a file is worth nothing.
            None => return Err(Status::invalid_argument("the stream ended before end_of_file")),
        }
    }
}

async fn add(mut veiling: Veiling, chunk: Vec<u8>) -> Result<Veiling, Status> {
    let bytes = veiling.bytes().saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
    if bytes > FILE_BYTES_MAX {
        return Err(Status::invalid_argument(format!("a file has at most {FILE_BYTES_MAX} bytes")));
    }
    let added = spawn_blocking(move || veiling.take(&chunk).map(|()| veiling)).await;
    added.map_err(|_| ended())?.map_err(spooled)
}

fn ended() -> Status {
    store_status(&StoreFault::Ended)
}

fn spooled(fault: SpoolFault) -> Status {
    match fault {
        SpoolFault::Full => Status::resource_exhausted(fault.to_string()),
        SpoolFault::Randomness | SpoolFault::Io(_) => Status::internal(fault.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, io::Read as _};

    use tonic::Code;

    use super::*;

    struct Given(VecDeque<Part>);

    #[tonic::async_trait]
    impl Pieces for Given {
        async fn next(&mut self) -> Result<Option<Part>, Status> {
            Ok(self.0.pop_front())
        }
    }

    fn named(count: usize) -> Vec<api::File> {
        (0..count).map(|number| api::File { name: format!("{number}.pdf"), ..Default::default() }).collect()
    }

    async fn taken(named: Vec<api::File>, pieces: Vec<Part>) -> (Result<Vec<Vec<u8>>, Code>, usize) {
        let place = tempfile::tempdir().unwrap();
        let spool = Spool::open(&place.path().join("spool")).unwrap();
        let files = files(named, &mut Given(pieces.into()), &spool).await;
        let read = |file: &File| {
            let mut content = Vec::new();
            let Content::Veiled(veiled) = &file.content else { panic!("it was streamed") };
            veiled.read().unwrap().read_to_end(&mut content).unwrap();
            content
        };
        let read = files.as_ref().map(|files| files.iter().map(read).collect()).map_err(Status::code);
        drop(files);
        (read, std::fs::read_dir(place.path().join("spool")).unwrap().count())
    }

    #[tokio::test]
    async fn files_come_in_their_order_and_nothing_is_left_of_them() {
        let pieces = vec![
            Part::Chunk(b"one ".to_vec()),
            Part::Chunk(b"two".to_vec()),
            Part::EndOfFile(true),
            Part::EndOfFile(true),
            Part::Chunk(b"three".to_vec()),
            Part::EndOfFile(true),
        ];
        let expected = vec![b"one two".to_vec(), Vec::new(), b"three".to_vec()];
        assert_eq!(taken(named(3), pieces).await, (Ok(expected), 0));
    }

    #[tokio::test]
    async fn what_is_no_such_stream_is_refused_and_leaves_nothing() {
        let (chunk, end) = (|| Part::Chunk(b"one".to_vec()), || Part::EndOfFile(true));
        for (files, pieces) in [
            (1, vec![]),
            (1, vec![chunk()]),
            (1, vec![chunk(), Part::EndOfFile(false)]),
            (1, vec![chunk(), Part::Send(api::SendRequest::default())]),
            (1, vec![chunk(), end(), chunk()]),
            (0, vec![end()]),
            (2, vec![chunk(), end()]),
            (FILES_MAX + 1, vec![]),
        ] {
            assert_eq!(taken(named(files), pieces).await, (Err(Code::InvalidArgument), 0));
        }
    }
}
