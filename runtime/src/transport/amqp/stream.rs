//! The socket of a connection whose own thread does the work: asked for bytes that are not there, it
//! first works off what has come in, and then waits by itself.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{self, Shutdown};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker, ready};

use futures_io::{AsyncRead, AsyncWrite};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::TcpStream;

use super::worker::{Shared, Turn, Work};

/// The client has things to do that nobody announces, heartbeats or a close: they may be so late.
const LOOK_UP_EVERY: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

/// The socket of a connection.
pub struct Stream {
    /// Taken only while it changes hands.
    socket: Option<Socket>,
    shared: Arc<Shared>,
    /// The thread's end of the bell.
    wakeups: Arc<UnixStream>,
    work: Option<Work>,
    /// True while the client has been given bytes and has not asked again since.
    has_read: bool,
    /// Calls that have been answered.
    answered: u64,
    /// Waker of a writer that has more than the socket takes.
    held_back: Option<Waker>,
}

enum Socket {
    /// Socket that the runtime waits for, while the connection is set up.
    Runtime(TcpStream),
    /// Socket that the thread waits for, from then on.
    Own(net::TcpStream),
}

const TAKEN: &str = "a socket that changes hands is not used";

impl Stream {
    /// A socket that the runtime waits for as yet.
    pub(super) fn new(socket: TcpStream, shared: Arc<Shared>, wakeups: Arc<UnixStream>) -> Self {
        Self {
            socket: Some(Socket::Runtime(socket)),
            shared,
            wakeups,
            work: None,
            has_read: false,
            answered: 0,
            held_back: None,
        }
    }

    /// The runtime's socket, until there is work for the thread.
    fn runtimes(&mut self, context: &Context<'_>) -> io::Result<Option<&mut TcpStream>> {
        if matches!(self.socket, Some(Socket::Runtime(_))) {
            let mut slot = self.shared.slot();
            self.work = slot.work.take();
            if self.work.is_none() {
                slot.waker = Some(context.waker().clone());
            }
            drop(slot);
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
        let mut interest = PollFlags::IN;
        if self.held_back.is_some() {
            interest |= PollFlags::OUT;
        }
        let mut events = [
            PollFd::new(self.own(), interest),
            PollFd::new(&*self.wakeups, PollFlags::IN),
        ];
        match poll(&mut events, Some(&LOOK_UP_EVERY)) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        let (socket, bell) = (events[0].revents(), events[1].revents());
        if !bell.is_empty() {
            let mut rings = [0; 64];
            let _ = (&*self.wakeups).read(&mut rings);
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
        let mut slot = self.shared.slot();
        slot.is_gone = true;
        let never_taken = (slot.work.take(), slot.waker.take());
        drop(slot);
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
