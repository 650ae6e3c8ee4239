//! A connection whose own thread does the work that its messages ask for.
//!
//! The client reads and writes each connection on a thread of its own, and wakes it, and is woken,
//! through the asynchronous runtime of another one: two changes of threads for every message in, two
//! for every message out. Of an actor that does one thing at a time only the first is needed: so
//! once it has been set up, its connection waits for the socket itself, and whatever has come in is
//! worked off before it waits again. What the work sends is written right after it.
//!
//! To the client this is a runtime whose stream takes its time to say that there is nothing to read.

use std::fmt;
use std::future::Future;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use async_rs::Tokio;
use async_rs::traits::{Executor, Reactor, RuntimeKit};
use async_rs::util::Task;
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::Stream as Interval;
use futures_util::stream::{BoxStream, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::stream::Stream;

/// Result of a turn of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Something was done, and there may be something to send.
    Worked,
    /// There was nothing to do.
    Idle,
    /// There is no more work, ever.
    Over,
}

pub(super) type Work = Box<dyn FnMut() -> Turn + Send>;

/// The way to the thread of a connection.
#[derive(Clone)]
pub struct Worker {
    shared: Arc<Shared>,
}

/// State that the thread shares with everybody else.
pub(super) struct Shared {
    slot: Mutex<WorkSlot>,
    /// Times that something was left to send or to look at.
    pub(super) calls: AtomicU64,
    /// True while the thread waits for the socket, or is about to.
    pub(super) is_waiting: AtomicBool,
    pub(super) is_aborted: AtomicBool,
    /// Wakes the thread: its end of the pair is read there.
    bell: UnixStream,
}

#[derive(Default)]
pub(super) struct WorkSlot {
    pub(super) work: Option<Work>,
    /// Makes the client ask the stream again.
    pub(super) waker: Option<Waker>,
    /// True once the stream is no more, so that nobody will take the work.
    pub(super) is_gone: bool,
}

impl Worker {
    /// A worker with the runtime that its connection has to be made with.
    pub fn new() -> io::Result<(Self, WorkerRuntime)> {
        let (bell, wakeups) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        wakeups.set_nonblocking(true)?;
        let shared = Arc::new(Shared {
            slot: Mutex::default(),
            calls: AtomicU64::new(0),
            is_waiting: AtomicBool::new(false),
            is_aborted: AtomicBool::new(false),
            bell,
        });
        let runtime = WorkerRuntime {
            tokio: Tokio::current(),
            shared: shared.clone(),
            wakeups: Arc::new(wakeups),
        };
        Ok((Self { shared }, runtime))
    }

    /// Hands the stream to the connection's thread, which does `each` with what comes in; nobody else asks it
    /// any more. What is returned resolves when the stream has ended; dropped, it ends the work.
    pub fn work_off<T: 'static>(
        &self,
        mut inbox: BoxStream<'static, T>,
        mut each: impl FnMut(T) + Send + 'static,
    ) -> oneshot::Receiver<()> {
        let (over, ended) = oneshot::channel::<()>();
        let waker = Waker::from(self.shared.clone());
        self.take_over(move || {
            let mut turn = Turn::Idle;
            loop {
                match inbox.poll_next_unpin(&mut Context::from_waker(&waker)) {
                    Poll::Ready(Some(item)) => {
                        each(item);
                        turn = Turn::Worked;
                    }
                    Poll::Ready(None) => return Turn::Over,
                    Poll::Pending if over.is_closed() => return Turn::Over,
                    Poll::Pending => return turn,
                }
            }
        });
        ended
    }

    fn take_over(&self, work: impl FnMut() -> Turn + Send + 'static) {
        let mut slot = self.shared.slot();
        if slot.is_gone {
            // Dropped outside: it may hold the connection.
            drop(slot);
            return drop(work);
        }
        slot.work = Some(Box::new(work));
        if let Some(waker) = slot.waker.take() {
            waker.wake();
        }
    }

    /// Tells the thread that there is something to send or to look at. Cheap unless it waits.
    pub fn call(&self) {
        self.shared.call();
    }

    /// Ends the connection as if the broker had, once the thread is at work.
    pub fn end(&self) {
        self.shared.is_aborted.store(true, Ordering::SeqCst);
        self.shared.call();
    }
}

impl Shared {
    fn call(&self) {
        // Counted first and looked at then, here; the other way round there. So one of both sees it.
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.is_waiting.load(Ordering::SeqCst) {
            // If it cannot be written, there is enough to be read.
            let _ = (&self.bell).write(&[0]);
        }
    }

    pub(super) fn slot(&self) -> MutexGuard<'_, WorkSlot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.call();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.call();
    }
}

/// Tokio, but for the stream.
#[derive(Clone)]
pub struct WorkerRuntime {
    tokio: Tokio,
    shared: Arc<Shared>,
    wakeups: Arc<UnixStream>,
}

impl fmt::Debug for WorkerRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerRuntime").finish_non_exhaustive()
    }
}

impl RuntimeKit for WorkerRuntime {}

impl Executor for WorkerRuntime {
    type Task<T: Send + 'static> = <Tokio as Executor>::Task<T>;

    fn block_on<T, F: Future<Output = T>>(&self, f: F) -> T {
        self.tokio.block_on(f)
    }

    fn spawn<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &self,
        f: F,
    ) -> Task<Self::Task<T>> {
        self.tokio.spawn(f)
    }

    fn spawn_blocking<T: Send + 'static, F: FnOnce() -> T + Send + 'static>(
        &self,
        f: F,
    ) -> Task<Self::Task<T>> {
        self.tokio.spawn_blocking(f)
    }
}

impl Reactor for WorkerRuntime {
    type TcpStream = Stream;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: Read + Write + AsFd + AsRawFd + Send + 'static>(
        &self,
        socket: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        self.tokio.register(socket)
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.tokio.sleep(duration)
    }

    fn interval(&self, duration: Duration) -> impl Interval<Item = Instant> + Send + 'static {
        self.tokio.interval(duration)
    }

    fn tcp_connect_addr(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Stream>> + Send + 'static {
        let (shared, wakeups) = (self.shared.clone(), self.wakeups.clone());
        async move {
            let socket = TcpStream::connect(address).await?;
            socket.set_nodelay(true)?;
            shared.slot().is_gone = false;
            Ok(Stream::new(socket, shared, wakeups))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::connection::{Broker, SMALL_FRAMES};
    use super::*;

    /// True when a connection that is refused leaves its worker behind.
    async fn is_left_by(url: &str) -> bool {
        let broker = Broker::parse(url, None).unwrap();
        let (worker, runtime) = Worker::new().unwrap();
        let left = Arc::downgrade(&worker.shared);
        let connected = broker
            .connect_with(runtime.into(), "test", SMALL_FRAMES)
            .await;
        assert!(connected.is_err());
        drop(worker);
        for _ in 0..100 {
            if left.strong_count() == 0 {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        true
    }

    /// An actor tries again and again for as long as its broker is away.
    #[tokio::test]
    async fn a_connection_that_is_not_made_leaves_nothing_behind() {
        assert!(!is_left_by("amqp://u:p@127.0.0.1:1/v").await, "refused");
        assert!(!is_left_by("amqp://u:p@nowhere.invalid/v").await, "unknown");
    }
}
