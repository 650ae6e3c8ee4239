//! Hosts as actors: the only file that knows the actor library.

use std::ops::DerefMut;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use actix::{
    Actor, ActorContext, Addr, Arbiter, AsyncContext, Context, Handler, Message, MessageResult,
};
use cuttlefish_core::ids::Address;
use cuttlefish_core::machine::{Input, StoreReply};
use cuttlefish_core::protocol::Envelope;
use cuttlefish_core::view::View;
use tokio::sync::oneshot;

use super::Host;
use crate::transport::Mailbox;
use crate::transport::memory::Rejection;

/// Interval in which the trainer is told the time.
const CLOCK: Duration = Duration::from_millis(100);

/// An input on its way to an actor.
struct Deliver(Input);

impl Message for Deliver {
    type Result = ();
}

/// Somebody wants to see the machine.
struct Show;

impl Message for Show {
    type Result = View;
}

/// The session that the actor belongs to is over.
struct Leave;

impl Message for Leave {
    type Result = ();
}

struct HostActor {
    host: Arc<Mutex<Host>>,
    mailbox_capacity: usize,
    /// Dropped with the actor.
    _ended: Option<oneshot::Sender<()>>,
}

impl HostActor {
    fn host(&self) -> impl DerefMut<Target = Host> {
        self.host.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Actor for HostActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        context.set_mailbox_capacity(self.mailbox_capacity);
        if self.host().address() == Address::Trainer {
            context.run_interval(CLOCK, |actor, _| actor.host().feed(Input::Clock));
        }
    }
}

impl Handler<Deliver> for HostActor {
    type Result = ();

    fn handle(&mut self, Deliver(input): Deliver, _: &mut Context<Self>) {
        self.host().feed(input);
    }
}

impl Handler<Show> for HostActor {
    type Result = MessageResult<Show>;

    fn handle(&mut self, _: Show, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.host().view())
    }
}

impl Handler<Leave> for HostActor {
    type Result = ();

    fn handle(&mut self, Leave: Leave, context: &mut Context<Self>) {
        context.stop();
    }
}

/// The way to a started actor, known only after its host has been made: until then nothing can
/// be delivered.
#[derive(Clone, Default)]
pub struct ActorMailbox {
    actor: Arc<OnceLock<Addr<HostActor>>>,
}

impl ActorMailbox {
    /// Starts an actor on one of the threads. At most `capacity` messages wait for it.
    pub fn start(&self, host: Host, capacity: usize, arbiter: &Arbiter) {
        let address = HostActor::start_in_arbiter(&arbiter.handle(), move |_| HostActor {
            host: Arc::new(Mutex::new(host)),
            mailbox_capacity: capacity,
            _ended: None,
        });
        // An actor is started once; a second start would leave the first one in place.
        let _ = self.actor.set(address);
    }

    /// Starts an actor on this thread for what does not come as a message: the store's answers, the
    /// time, questions. Who gets the messages feeds the host as well. What is returned resolves when
    /// the actor has ended, be it by a panic.
    pub fn start_here(&self, host: Arc<Mutex<Host>>) -> oneshot::Receiver<()> {
        let (sender, ended) = oneshot::channel();
        let address = HostActor {
            host,
            mailbox_capacity: 16,
            _ended: Some(sender),
        }
        .start();
        let _ = self.actor.set(address);
        ended
    }

    /// Ends the actor.
    pub fn end(&self) {
        if let Some(actor) = self.actor.get() {
            actor.do_send(Leave);
        }
    }

    /// Gives the actor an input that is not a message. It is never refused: these are few.
    pub fn feed(&self, input: Input) {
        if let Some(actor) = self.actor.get() {
            actor.do_send(Deliver(input));
        }
    }

    /// View of the machine, from any thread of a tokio runtime. The question waits
    /// its turn behind the messages, or for the machine's lock where they come another way; `None` if
    /// there is no answer within `at_most`, because the actor computes for longer, has not been
    /// started or has ended.
    ///
    /// A question takes a place in the mailbox, so whoever lets strangers ask must not let them
    /// all ask at once.
    pub async fn view(&self, at_most: Duration) -> Option<View> {
        let answer = self.actor.get()?.send(Show);
        tokio::time::timeout(at_most, answer).await.ok()?.ok()
    }

    /// A function that feeds the store's answers to the actor.
    pub fn replies(&self) -> Arc<dyn Fn(StoreReply) + Send + Sync> {
        let mailbox = self.clone();
        Arc::new(move |reply| mailbox.feed(Input::Stored(reply)))
    }
}

impl Mailbox for ActorMailbox {
    fn offer(&self, envelope: Envelope) -> Result<(), Rejection> {
        let actor = self.actor.get().ok_or(Rejection::Closed)?;
        actor
            .try_send(Deliver(Input::Message(envelope)))
            .map_err(|error| match error {
                actix::dev::SendError::Full(_) => Rejection::Full,
                actix::dev::SendError::Closed(_) => Rejection::Closed,
            })
    }
}
