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
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{self, Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::{Duration, Instant};

use async_rs::Tokio;
use async_rs::traits::{Executor, Reactor, RuntimeKit};
use async_rs::util::Task;
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::Stream as Interval;
use futures_util::stream::{BoxStream, StreamExt};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

/// The client has things to do that nobody announces, heartbeats or a close: they may be so late.
const LOOK_UP_EVERY: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

/// What a turn of work came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Something was done, and there may be something to send.
    Worked,
    /// There was nothing to do.
    Idle,
    /// There is no more work, ever.
    Over,
}

type Work = Box<dyn FnMut() -> Turn + Send>;

/// The way to the thread of a connection.
#[derive(Clone)]
pub struct Worker {
    shared: Arc<Shared>,
}

struct Shared {
    handover: Mutex<Handover>,
    /// Times that something was left to send or to look at.
    calls: AtomicU64,
    /// Whether the thread waits for the socket, or is about to.
    is_waiting: AtomicBool,
    is_aborted: AtomicBool,
    /// What is written here is read from the thread's end.
    bell: UnixStream,
}

#[derive(Default)]
struct Handover {
    work: Option<Work>,
    /// Makes the client ask the stream again.
    waker: Option<Waker>,
    /// Whether the stream is no more, so that nobody will take the work.
    is_gone: bool,
}

impl Worker {
    /// A worker with the runtime that its connection has to be made with.
    pub fn new() -> io::Result<(Self, Kit)> {
        let (bell, heard) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        heard.set_nonblocking(true)?;
        let shared = Arc::new(Shared {
            handover: Mutex::default(),
            calls: AtomicU64::new(0),
            is_waiting: AtomicBool::new(false),
            is_aborted: AtomicBool::new(false),
            bell,
        });
        let kit = Kit {
            tokio: Tokio::current(),
            shared: shared.clone(),
            heard: Arc::new(heard),
        };
        Ok((Self { shared }, kit))
    }

    /// From now on the connection's thread does `each` with what comes in; nobody else asks the stream
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
        let mut handover = self.shared.handover();
        if handover.is_gone {
            // Dropped outside: it may hold the connection.
            drop(handover);
            return drop(work);
        }
        handover.work = Some(Box::new(work));
        if let Some(waker) = handover.waker.take() {
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

    fn handover(&self) -> MutexGuard<'_, Handover> {
        self.handover.lock().unwrap_or_else(PoisonError::into_inner)
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
pub struct Kit {
    tokio: Tokio,
    shared: Arc<Shared>,
    heard: Arc<UnixStream>,
}

impl fmt::Debug for Kit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kit").finish_non_exhaustive()
    }
}

impl RuntimeKit for Kit {}

impl Executor for Kit {
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

impl Reactor for Kit {
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
        let (shared, heard) = (self.shared.clone(), self.heard.clone());
        async move {
            let socket = TcpStream::connect(address).await?;
            socket.set_nodelay(true)?;
            shared.handover().is_gone = false;
            Ok(Stream {
                socket: Some(Socket::Runtime(socket)),
                shared,
                heard,
                work: None,
                has_read: false,
                answered: 0,
                held_back: None,
            })
        }
    }
}

/// The socket of a connection.
pub struct Stream {
    /// Taken only while it changes hands.
    socket: Option<Socket>,
    shared: Arc<Shared>,
    /// The thread's end of the bell.
    heard: Arc<UnixStream>,
    work: Option<Work>,
    /// Whether the client has been given bytes and has not asked again since.
    has_read: bool,
    /// Calls that have been answered.
    answered: u64,
    /// Who wants to write more than the socket takes.
    held_back: Option<Waker>,
}

enum Socket {
    /// While the connection is set up the runtime waits for it.
    Runtime(TcpStream),
    /// Then the thread does.
    Own(net::TcpStream),
}

const TAKEN: &str = "a socket that changes hands is not used";

impl Stream {
    /// The runtime's socket, until there is work for the thread.
    fn runtimes(&mut self, context: &Context<'_>) -> io::Result<Option<&mut TcpStream>> {
        if matches!(self.socket, Some(Socket::Runtime(_))) {
            let mut handover = self.shared.handover();
            self.work = handover.work.take();
            if self.work.is_none() {
                handover.waker = Some(context.waker().clone());
            }
            drop(handover);
            if self.work.is_some() {
                let Some(Socket::Runtime(socket)) = self.socket.take() else {
                    unreachable!("{TAKEN}");
                };
                self.socket = Some(Socket::Own(socket.into_std()?));
            }
        }
        Ok(match &mut self.socket {
            Some(Socket::Runtime(socket)) => Some(socket),
            _ => None,
        })
    }

    fn own(&self) -> &net::TcpStream {
        match &self.socket {
            Some(Socket::Own(socket)) => socket,
            _ => unreachable!("{TAKEN}"),
        }
    }

    /// A turn of work, where there is any. One that panics is the last: the client must not be torn
    /// down in the middle of its own.
    fn work(&mut self) -> Turn {
        let turn = self.work.as_mut().map_or(Turn::Idle, |work| {
            catch_unwind(AssertUnwindSafe(work)).unwrap_or(Turn::Over)
        });
        if turn == Turn::Over {
            self.work = None;
        }
        turn
    }

    /// Waits until there is something to read; not when there is something else to do.
    fn wait(&mut self) -> io::Result<bool> {
        self.shared.is_waiting.store(true, Ordering::SeqCst);
        let readable = if self.shared.calls.load(Ordering::SeqCst) == self.answered {
            self.poll()
        } else {
            Ok(false)
        };
        self.shared.is_waiting.store(false, Ordering::SeqCst);
        readable
    }

    fn poll(&mut self) -> io::Result<bool> {
        let mut wanted = PollFlags::IN;
        if self.held_back.is_some() {
            wanted |= PollFlags::OUT;
        }
        let mut events = [
            PollFd::new(self.own(), wanted),
            PollFd::new(&*self.heard, PollFlags::IN),
        ];
        match poll(&mut events, Some(&LOOK_UP_EVERY)) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        let (socket, bell) = (events[0].revents(), events[1].revents());
        if !bell.is_empty() {
            let mut rings = [0; 64];
            let _ = (&*self.heard).read(&mut rings);
        }
        if socket.intersects(PollFlags::OUT | PollFlags::ERR | PollFlags::HUP)
            && let Some(waker) = self.held_back.take()
        {
            waker.wake();
        }
        // An error is told by reading.
        Ok(socket.intersects(PollFlags::IN | PollFlags::ERR | PollFlags::HUP))
    }

    /// Reads, after everything else that there is to do, which the client has to be left to: then it
    /// asks again.
    fn read(
        &mut self,
        context: &Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.shared.is_aborted.load(Ordering::SeqCst) {
            self.work = None;
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let asked_too_early = std::mem::take(&mut self.has_read);
        if asked_too_early || self.work() != Turn::Idle || !self.wait()? {
            // Whatever anybody has called for so far, the client sees to it before it asks again.
            self.answered = self.shared.calls.load(Ordering::SeqCst);
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        match self.own().read_vectored(buffers) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            read => {
                self.has_read = true;
                Poll::Ready(read)
            }
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut handover = self.shared.handover();
        handover.is_gone = true;
        let never_taken = (handover.work.take(), handover.waker.take());
        drop(handover);
        drop(never_taken);
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let stream = self.get_mut();
        let Some(socket) = stream.runtimes(context)? else {
            return stream.read(context, &mut [IoSliceMut::new(buffer)]);
        };
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(socket).poll_read(context, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.runtimes(context)?.is_none() {
            return self.read(context, buffers);
        }
        let first = buffers.iter_mut().find(|buffer| !buffer.is_empty());
        self.poll_read(context, first.map_or(&mut [], |buffer| &mut *buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(buffer)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = self.get_mut();
        if let Some(Socket::Runtime(socket)) = &mut stream.socket {
            let written = Pin::new(socket).poll_write_vectored(context, buffers);
            if written.is_pending() {
                // The runtime forgets it when the socket changes hands.
                stream.held_back = Some(context.waker().clone());
            }
            return written;
        }
        match stream.own().write_vectored(buffers) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                stream.held_back = Some(context.waker().clone());
                Poll::Pending
            }
            written => Poll::Ready(written),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A socket keeps nothing back.
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().socket {
            Some(Socket::Runtime(socket)) => Pin::new(socket).poll_shutdown(context),
            Some(Socket::Own(socket)) => Poll::Ready(socket.shutdown(Shutdown::Write)),
            None => Poll::Ready(Ok(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::connection::{Broker, SMALL_FRAMES};
    use super::*;

    /// Whether a connection that is refused leaves its worker behind.
    async fn is_left_by(url: &str) -> bool {
        let broker = Broker::parse(url, None).unwrap();
        let (worker, kit) = Worker::new().unwrap();
        let left = Arc::downgrade(&worker.shared);
        let connected = broker.connect_with(kit.into(), "test", SMALL_FRAMES).await;
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
