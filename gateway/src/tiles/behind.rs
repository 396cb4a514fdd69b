//! A published folder whose files a thread of its own writes and syncs, in the order in which they
//! were given: hundreds of syncs must not hold up the writer. What is on its way reads as written. What
//! fails is tried again until it is done; meanwhile only so much waits. Not here: the files' content.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::files::{Files, Folder};

/// Most files on their way.
pub const WAITING_MAX: usize = 4096;
/// How long nothing is tried after a failure.
const PAUSE: Duration = Duration::from_millis(200);

enum Order {
    Write(String, Arc<[u8]>),
    Sync,
}

/// Files on their way.
#[derive(Debug, Default)]
struct Shared {
    on_the_way: Mutex<BTreeMap<String, Arc<[u8]>>>,
    /// Nobody will give more: what fails now is given up.
    is_ending: AtomicBool,
}

/// A folder behind a thread. Dropping it waits until everything is written.
#[derive(Debug)]
pub struct Behind {
    reader: Folder,
    shared: Arc<Shared>,
    orders: Option<SyncSender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl Behind {
    /// A folder, made if it is not there.
    ///
    /// # Errors
    /// Any fault of the disk.
    pub fn open(path: &Path) -> io::Result<Self> {
        let (reader, writer) = (Folder::open(path)?, Folder::open(path)?);
        let shared = Arc::new(Shared::default());
        let (orders, receiver) = sync_channel(WAITING_MAX);
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new().name("publish".to_owned());
        let thread = thread.spawn(move || work(writer, &theirs, &receiver))?;
        Ok(Self { reader, shared, orders: Some(orders), thread: Some(thread) })
    }

    /// Never waits: while the disk is slow or full, whoever writes keeps what does not fit.
    fn order(&self, order: Order) -> io::Result<()> {
        let orders = self.orders.as_ref().ok_or(io::ErrorKind::BrokenPipe)?;
        orders.try_send(order).map_err(|error| match error {
            TrySendError::Full(_) => io::ErrorKind::WouldBlock.into(),
            TrySendError::Disconnected(_) => io::ErrorKind::BrokenPipe.into(),
        })
    }
}

impl Files for Behind {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        let on_the_way = lock(&self.shared.on_the_way).get(path).cloned();
        match on_the_way {
            Some(bytes) => Ok(Some(bytes.to_vec())),
            None => self.reader.read(path),
        }
    }

    fn write(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let bytes: Arc<[u8]> = bytes.into();
        // Before it is ordered, so that it is never neither here nor there.
        let before = lock(&self.shared.on_the_way).insert(path.to_owned(), Arc::clone(&bytes));
        let ordered = self.order(Order::Write(path.to_owned(), Arc::clone(&bytes)));
        if ordered.is_err() {
            let mut on_the_way = lock(&self.shared.on_the_way);
            match before {
                Some(before) => drop(on_the_way.insert(path.to_owned(), before)),
                None => drop(on_the_way.remove(path)),
            }
        }
        ordered
    }

    /// What was written before is synced before what is written after; it does not wait.
    fn sync(&mut self) -> io::Result<()> {
        self.order(Order::Sync)
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        self.shared.is_ending.store(true, Ordering::Release);
        self.orders = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("published files were not written to the end");
        }
    }
}

fn work(mut folder: Folder, shared: &Shared, orders: &Receiver<Order>) {
    for order in orders {
        while let Err(error) = carry_out(&mut folder, &order) {
            tracing::warn!(kind = ?error.kind(), "published files cannot be written: tried again");
            if shared.is_ending.load(Ordering::Acquire) {
                return;
            }
            thread::sleep(PAUSE);
        }
        if let Order::Write(path, bytes) = &order {
            forget(shared, path, bytes);
        }
    }
}

fn carry_out(folder: &mut Folder, order: &Order) -> io::Result<()> {
    match order {
        Order::Write(path, bytes) => folder.write(path, bytes),
        Order::Sync => folder.sync(),
    }
}

/// It is on the disk now, unless a newer one is on its way.
fn forget(shared: &Shared, path: &str, bytes: &Arc<[u8]>) {
    let mut on_the_way = lock(&shared.on_the_way);
    if on_the_way.get(path).is_some_and(|newest| Arc::ptr_eq(newest, bytes)) {
        on_the_way.remove(path);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_its_way_reads_as_written_and_is_there_in_the_end() {
        let place = tempfile::tempdir().unwrap();
        let mut behind = Behind::open(place.path()).unwrap();
        for number in 0..500_u32 {
            let path = format!("tile/0/{number:03}");
            behind.write(&path, &number.to_be_bytes()).unwrap();
            behind.write("checkpoint", &number.to_be_bytes()).unwrap();
            assert_eq!(behind.read(&path).unwrap().unwrap(), number.to_be_bytes());
            assert_eq!(behind.read("checkpoint").unwrap().unwrap(), number.to_be_bytes());
        }
        behind.sync().unwrap();
        drop(behind);
        let folder = Folder::open(place.path()).unwrap();
        assert_eq!(folder.read("checkpoint").unwrap().unwrap(), 499_u32.to_be_bytes());
        assert_eq!(folder.read("tile/0/007").unwrap().unwrap(), 7_u32.to_be_bytes());
    }

    #[test]
    fn what_fails_is_tried_again_and_nothing_is_published_over_it() {
        let place = tempfile::tempdir().unwrap();
        let mut behind = Behind::open(place.path()).unwrap();
        // A file stands where a folder must be.
        std::fs::write(place.path().join("tile"), b"in the way").unwrap();
        behind.write("tile/0/000", b"hashes").unwrap();
        behind.sync().unwrap();
        behind.write("checkpoint", b"note").unwrap();
        let full =
            (0..=WAITING_MAX).find(|number| behind.write(&format!("tile/1/{number}"), b"more").is_err());
        assert!(full.is_some(), "only so much waits");
        let folder = Folder::open(place.path()).unwrap();
        assert_eq!(folder.read("checkpoint").unwrap(), None, "not before its tiles");
        std::fs::remove_file(place.path().join("tile")).unwrap();
        while folder.read("checkpoint").unwrap().is_none() {
            thread::yield_now();
        }
        assert_eq!(folder.read("tile/0/000").unwrap().unwrap(), b"hashes");
    }
}
