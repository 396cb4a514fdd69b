//! What comes in, before any service sees it: how many calls a caller has open, how many bytes of its
//! unfinished messages are held for it, and whether its frames are whole. What one caller takes too
//! much of, only it is refused. On the way out, refusals that no rule has decided become evidence. Not
//! here: connections (`peer`), and what messages say.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use proto::Malformed;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Status, body::Body};
use tower::{Layer, Service};

use super::{CALL_BYTES_MAX, Gateway, PUSH_BYTES_MAX, answers, record};
use crate::{
    peer::{Peer, allowance::Allowance},
    restoring,
};

/// Most streams of pushes of one caller.
pub const PUSH_STREAMS_MAX: usize = 16;
/// Most streams of deliveries of one caller.
pub const DELIVERY_STREAMS_MAX: usize = 8;
/// Most `Fetch` calls of one caller at the same time.
pub const FETCHES_MAX: usize = 4;
/// Most uploads of one caller at the same time; each holds a file open.
pub const UPLOADS_MAX: usize = 16;
/// Most downloads of one caller at the same time; each holds a file open.
pub const DOWNLOADS_MAX: usize = 16;
/// Most timelines of one caller at the same time.
pub const TIMELINES_MAX: usize = 4;
/// Most followers of their own evidence of one caller at the same time.
pub const FOLLOWERS_MAX: usize = 4;
/// Most readers of the directory log of one caller at the same time.
pub const READERS_MAX: usize = 8;
/// Most renewals of certificates of one caller at the same time; each holds a thread.
pub const RENEWALS_MAX: usize = 1;
/// Most calls of one caller at the same time, of all methods that have no limit of their own.
pub const CALLS_MAX: usize = 256;
/// Most bytes of messages of one caller that have come in part.
pub const PARTIAL_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most bytes of messages of all callers that have come in part.
pub const PARTIAL_BYTES_OF_ALL_MAX: usize = 48 * 1024 * 1024;

/// Most bytes of one caller's pushes that are on their way to the writer: a batch's. So much of another's
/// is before an honest one at the most.
pub const UNDER_WAY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// What a push counts for at the least, so that small ones have a limit too: 512 of a caller.
pub const PUSH_BYTES_MIN: usize = 8 * 1024;

/// The methods that have a limit of their own. What is not among them has [`CALLS_MAX`].
const METHODS: [(&str, usize); 9] = [
    ("/referral.v1.Push/PushStream", PUSH_STREAMS_MAX),
    ("/referral.v1.Receive/Deliver", DELIVERY_STREAMS_MAX),
    ("/referral.v1.Receive/Fetch", FETCHES_MAX),
    ("/referral.v1.Parts/Upload", UPLOADS_MAX),
    ("/referral.v1.Parts/Download", DOWNLOADS_MAX),
    ("/referral.v1.Evidence/GetTimeline", TIMELINES_MAX),
    ("/referral.v1.Evidence/Follow", FOLLOWERS_MAX),
    ("/referral.v1.Directory/GetRecords", READERS_MAX),
    ("/referral.v1.Certificates/Renew", RENEWALS_MAX),
];
const PUSHES: &str = "/referral.v1.Push/";
/// Most bytes of an answer that are handed to the transport at once: a frame of HTTP/2.
pub const PIECE_BYTES_MAX: usize = 16 * 1024;
/// gRPC's frame: a flag and the message's length.
const FRAME_HEADER_BYTES: usize = 5;

/// What each caller has taken.
#[derive(Debug, Default)]
pub struct Intake(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    partial_bytes: usize,
    by_caller: BTreeMap<Arc<str>, Share>,
}

#[derive(Debug)]
struct Share {
    /// By the method's place in [`METHODS`]; the last is all others.
    calls: [usize; METHODS.len() + 1],
    partial_bytes: usize,
    /// In bytes.
    under_way: Arc<Semaphore>,
}

impl Default for Share {
    fn default() -> Self {
        Self {
            calls: [0; METHODS.len() + 1],
            partial_bytes: 0,
            under_way: Arc::new(Semaphore::new(UNDER_WAY_BYTES_MAX)),
        }
    }
}

impl Share {
    fn is_unused(&self) -> bool {
        self.partial_bytes == 0 && self.calls.iter().all(|calls| *calls == 0)
    }
}

/// A caller's share of what is on its way to the writer.
#[derive(Debug, Clone)]
pub struct CallersShare(Arc<Semaphore>);

impl CallersShare {
    /// Takes what a push of so many bytes counts for; nothing when there is not so much left.
    #[must_use]
    pub fn try_take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_many_owned(weight(bytes)).ok()
    }

    /// As [`Self::try_take`], but waits for it.
    pub async fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).acquire_many_owned(weight(bytes)).await.ok()
    }
}

/// A single push never counts for more than there is.
fn weight(bytes: usize) -> u32 {
    u32::try_from(bytes.clamp(PUSH_BYTES_MIN, UNDER_WAY_BYTES_MAX)).unwrap_or(u32::MAX)
}

/// A call's place, given back when dropped.
#[derive(Debug)]
struct Seat {
    intake: Arc<Intake>,
    caller: Arc<str>,
    method: usize,
}

/// Room for a message that has come in part, given back when dropped.
#[derive(Debug)]
struct Room {
    intake: Arc<Intake>,
    caller: Arc<str>,
    bytes: usize,
}

impl Intake {
    /// A caller's share of what is on its way to the writer; the same for all its calls.
    #[must_use]
    pub fn under_way(&self, caller: &str) -> CallersShare {
        let share = self.lock().by_caller.get(caller).map(|share| Arc::clone(&share.under_way));
        // Whoever asks has a seat, and with it a share.
        CallersShare(share.unwrap_or_else(|| Share::default().under_way))
    }

    fn seat(self: &Arc<Self>, caller: &Arc<str>, path: &str) -> Option<Seat> {
        let method = METHODS.iter().position(|(method, _)| *method == path).unwrap_or(METHODS.len());
        let most = METHODS.get(method).map_or(CALLS_MAX, |(_, most)| *most);
        let mut taken = self.lock();
        let share = taken.by_caller.entry(Arc::clone(caller)).or_default();
        let calls = share.calls.get_mut(method)?;
        if *calls >= most {
            return None;
        }
        *calls += 1;
        Some(Seat { intake: Arc::clone(self), caller: Arc::clone(caller), method })
    }

    fn room(self: &Arc<Self>, caller: &Arc<str>, bytes: usize) -> Option<Room> {
        let mut taken = self.lock();
        let all = taken.partial_bytes.saturating_add(bytes);
        let share = taken.by_caller.entry(Arc::clone(caller)).or_default();
        let own = share.partial_bytes.saturating_add(bytes);
        if own > PARTIAL_BYTES_MAX || all > PARTIAL_BYTES_OF_ALL_MAX {
            return None;
        }
        share.partial_bytes = own;
        taken.partial_bytes = all;
        Some(Room { intake: Arc::clone(self), caller: Arc::clone(caller), bytes })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        // Nothing that is done under it can panic halfway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn give_back(&mut self, caller: &Arc<str>, give: impl FnOnce(&mut Share)) {
        if let Some(share) = self.by_caller.get_mut(caller) {
            give(share);
            if share.is_unused() {
                self.by_caller.remove(caller);
            }
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.intake.lock().give_back(&self.caller, |share| {
            if let Some(calls) = share.calls.get_mut(self.method) {
                *calls = calls.saturating_sub(1);
            }
        });
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut taken = self.intake.lock();
        taken.partial_bytes = taken.partial_bytes.saturating_sub(self.bytes);
        taken.give_back(&self.caller, |share| {
            share.partial_bytes = share.partial_bytes.saturating_sub(self.bytes);
        });
    }
}

/// Puts the intake before the services.
#[derive(Clone)]
pub struct IntakeLayer(pub Arc<Gateway>);

/// The services behind the intake.
#[derive(Clone)]
pub struct Guarded<S> {
    gateway: Arc<Gateway>,
    inner: S,
}

impl<S> Layer<S> for IntakeLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { gateway: Arc::clone(&self.0), inner }
    }
}

type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl<S> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Answering {
        // The one that is ready is used; its clone must become ready by itself.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        let gateway = Arc::clone(&self.gateway);
        Box::pin(async move {
            let Some(peer) = request.extensions().get::<Arc<Peer>>().cloned() else {
                return Ok(Status::unauthenticated("no certificate").into_http());
            };
            if gateway.restoring.is_held() && !restoring::is_answered(request.uri().path()) {
                return Ok(restoring::status().into_http());
            }
            let caller = Arc::from(peer.name());
            let Some(seat) = gateway.intake.seat(&caller, request.uri().path()) else {
                gateway.metrics.turned_away.inc();
                return Ok(answers::too_much("TOO_MANY_CALLS").into_http());
            };
            if request.headers().get("grpc-encoding").is_some_and(|encoding| encoding != "identity") {
                // Here, since the transport would repeat what the caller wrote.
                return Ok(Status::unimplemented("messages are not compressed here").into_http());
            }
            let message_bytes_max =
                if request.uri().path().starts_with(PUSHES) { PUSH_BYTES_MAX } else { CALL_BYTES_MAX };
            let allowance = Arc::clone(&peer.allowance);
            let request =
                request.map(|body| Body::new(Metered::new(body, &seat, message_bytes_max, allowance)));
            let response = inner.call(request).await?;
            match response.extensions().get::<Status>().filter(|status| answers::is_undecided(status)) {
                Some(status) => Ok(record(&gateway, &peer.caller, status.clone()).await.into_http()),
                None => {
                    Ok(response
                        .map(|body| Body::new(Seated { inner: body, rest: Bytes::new(), _seat: seat })))
                }
            }
        })
    }
}

/// A request's body: its frames are checked, and its unfinished message is counted.
struct Metered {
    inner: Body,
    intake: Arc<Intake>,
    caller: Arc<str>,
    message_bytes_max: usize,
    header: [u8; FRAME_HEADER_BYTES],
    header_bytes: usize,
    /// Of the present message, what is still to come.
    left: usize,
    room: Option<Room>,
    allowance: Arc<Allowance>,
}

impl Metered {
    fn new(inner: Body, seat: &Seat, message_bytes_max: usize, allowance: Arc<Allowance>) -> Self {
        Self {
            inner,
            intake: Arc::clone(&seat.intake),
            caller: Arc::clone(&seat.caller),
            message_bytes_max,
            header: [0; FRAME_HEADER_BYTES],
            header_bytes: 0,
            left: 0,
            room: None,
            allowance,
        }
    }

    const fn is_between_messages(&self) -> bool {
        self.left == 0 && self.header_bytes == 0
    }

    /// Follows the messages through a run of bytes.
    fn follow(&mut self, mut bytes: &[u8]) -> Result<(), Status> {
        self.allowance.credit(bytes.len());
        while !bytes.is_empty() {
            if self.left > 0 {
                let passes = self.left.min(bytes.len());
                self.left -= passes;
                bytes = bytes.get(passes..).unwrap_or_default();
                continue;
            }
            let wanted = FRAME_HEADER_BYTES.saturating_sub(self.header_bytes).min(bytes.len());
            let (head, rest) = bytes.split_at(wanted);
            for (place, byte) in self.header.iter_mut().skip(self.header_bytes).zip(head) {
                *place = *byte;
            }
            self.header_bytes += wanted;
            bytes = rest;
            if self.header_bytes == FRAME_HEADER_BYTES {
                self.header_bytes = 0;
                self.begin(bytes.len())?;
            }
        }
        Ok(())
    }

    /// A message begins, of which so many bytes are here.
    fn begin(&mut self, here: usize) -> Result<(), Status> {
        let [flag, length @ ..] = self.header;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if flag != 0 {
            return Err(answers::malformed(Malformed::Form { field: "compression" }));
        }
        if length > self.message_bytes_max {
            let limit = u64::try_from(self.message_bytes_max).unwrap_or(u64::MAX);
            return Err(answers::malformed(Malformed::TooLarge { field: "message", limit }));
        }
        self.left = length;
        if length > here {
            // What is whole is answered or refused at once; what is not might never be.
            self.room = None;
            let room = self.intake.room(&self.caller, length);
            self.room = Some(room.ok_or_else(|| answers::too_much("TOO_MUCH_UNFINISHED"))?);
        }
        Ok(())
    }
}

impl http_body::Body for Metered {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.is_between_messages() {
            // More is asked for, so what came was understood.
            self.room = None;
        }
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        let checked = match &frame {
            Some(Ok(frame)) => match frame.data_ref() {
                Some(bytes) => self.follow(bytes),
                None => self.check_end(),
            },
            Some(Err(_)) => Ok(()),
            None => self.check_end(),
        };
        match checked {
            Ok(()) => Poll::Ready(frame),
            Err(status) => {
                self.left = 0;
                self.header_bytes = 0;
                Poll::Ready(Some(Err(status)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_between_messages() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Metered {
    fn check_end(&self) -> Result<(), Status> {
        if self.is_between_messages() {
            Ok(())
        } else {
            Err(answers::malformed(Malformed::Length { field: "message" }))
        }
    }
}

/// An answer's body: as long as it goes out, its call keeps its place. It goes out in pieces, each when
/// the peer has read those before: whole, it would wait in the transport, where nobody counts it.
struct Seated {
    inner: Body,
    rest: Bytes,
    _seat: Seat,
}

impl http_body::Body for Seated {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.rest.is_empty() {
            let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => self.rest = data,
                Some(Ok(Err(trailers))) => return Poll::Ready(Some(Ok(trailers))),
                Some(Err(status)) => return Poll::Ready(Some(Err(status))),
                None => return Poll::Ready(None),
            }
        }
        let piece_bytes = self.rest.len().min(PIECE_BYTES_MAX);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(piece_bytes)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.rest.is_empty() { self.inner.size_hint() } else { SizeHint::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Arc<str> {
        Arc::from(text)
    }

    #[test]
    fn each_method_has_so_many_calls_of_a_caller_and_no_more() {
        let others = [("/referral.v1.Push/PushOne", CALLS_MAX), ("/anything/else", CALLS_MAX)];
        for (path, most) in METHODS.into_iter().chain(others) {
            let intake = Arc::new(Intake::default());
            let (one, other) = (name("agency/ae.dfwac"), name("agency/ae-rk.aman"));
            let mut seats: Vec<_> = (0..most).map(|_| intake.seat(&one, path).unwrap()).collect();
            assert!(intake.seat(&one, path).is_none(), "{path}");
            assert!(intake.seat(&other, path).is_some(), "{path}: another caller has its own");
            seats.pop();
            assert!(intake.seat(&one, path).is_some(), "{path}");
            drop(seats);
            assert!(intake.lock().by_caller.is_empty(), "{path}");
        }
    }

    #[test]
    fn unfinished_messages_have_room_of_a_caller_and_of_all() {
        let intake = Arc::new(Intake::default());
        let one = name("agency/one");
        let room = intake.room(&one, PARTIAL_BYTES_MAX).unwrap();
        assert!(intake.room(&one, 1).is_none());
        let callers = PARTIAL_BYTES_OF_ALL_MAX / PARTIAL_BYTES_MAX;
        let others: Vec<_> = (1..callers)
            .map(|other| intake.room(&name(&format!("agency/{other}")), PARTIAL_BYTES_MAX).unwrap())
            .collect();
        assert!(intake.room(&name("agency/last"), 1).is_none(), "all together have no more");
        drop(room);
        assert!(intake.room(&name("agency/last"), 1).is_some());
        drop(others);
        assert!(intake.lock().by_caller.is_empty() && intake.lock().partial_bytes == 0);
    }

    #[test]
    fn a_caller_has_so_many_bytes_on_their_way_and_so_many_pushes() {
        let intake = Arc::new(Intake::default());
        let _seats = ["one", "other"].map(|caller| intake.seat(&name(caller), "/any").unwrap());
        let share = intake.under_way("one");
        let largest = share.try_take(usize::MAX).unwrap();
        assert!(share.try_take(1).is_none() && intake.under_way("one").try_take(1).is_none());
        assert!(intake.under_way("other").try_take(1).is_some());
        drop(largest);
        let many: Vec<_> = std::iter::from_fn(|| share.try_take(1)).collect();
        assert_eq!(many.len(), UNDER_WAY_BYTES_MAX / PUSH_BYTES_MIN);
    }

    fn metered(intake: &Arc<Intake>) -> Metered {
        let seat = intake.seat(&name("agency/one"), "/referral.v1.Push/PushOne").unwrap();
        Metered::new(Body::empty(), &seat, 1000, Arc::default())
    }

    #[test]
    fn messages_are_followed_however_they_are_cut() {
        let bytes: Vec<u8> = [0_usize, 1, 700, 1000]
            .iter()
            .flat_map(|length| {
                let header = u32::try_from(*length).unwrap().to_be_bytes();
                [&[0_u8][..], &header, &vec![0xff; *length]].concat()
            })
            .collect();
        for run in [1, 2, 3, 4, 5, 6, 7, 100, 10_000] {
            let intake = Arc::new(Intake::default());
            let mut metered = metered(&intake);
            for run in bytes.chunks(run) {
                metered.follow(run).unwrap();
            }
            metered.check_end().unwrap();
            metered.follow(&[0, 0]).unwrap();
            assert!(metered.check_end().is_err());
        }
    }

    #[test]
    fn frames_that_are_none_are_refused() {
        let intake = Arc::new(Intake::default());
        for header in [[1, 0, 0, 0, 1], [0xff, 0, 0, 0, 1], [0, 0, 0, 3, 0xe9], [0, 0xff, 0xff, 0xff, 0xff]] {
            let refused = metered(&intake).follow(&header).unwrap_err();
            assert!(answers::is_undecided(&refused), "{header:?}");
            assert_eq!(refused.code(), tonic::Code::InvalidArgument);
        }
    }
}
