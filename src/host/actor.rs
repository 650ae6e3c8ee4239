//! Hosts as actors: the only file that knows the actor library.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix::{
    Actor, ActorContext, Arbiter, AsyncContext, Context, Handler, Message, Recipient, StreamHandler,
};
use cuttlefish_core::ids::Address;
use cuttlefish_core::machine::{Input, StoreReply};
use cuttlefish_core::protocol::Envelope;
use futures_util::stream::BoxStream;
use tokio::sync::oneshot;

use super::Host;
use crate::transport::Mailbox;
use crate::transport::memory::Rejection;

/// How often the trainer is told the time.
const CLOCK: Duration = Duration::from_millis(100);

/// An input on its way to an actor.
struct Deliver(Input);

impl Message for Deliver {
    type Result = ();
}

struct HostActor {
    host: Host,
    mailbox_capacity: usize,
    /// Messages from elsewhere, and who wants to know when they end.
    inbox: Option<(BoxStream<'static, Envelope>, oneshot::Sender<()>)>,
    /// Dropped with the actor.
    _ended: Option<oneshot::Sender<()>>,
}

impl Actor for HostActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        context.set_mailbox_capacity(self.mailbox_capacity);
        if self.host.address() == Address::Trainer {
            context.run_interval(CLOCK, |actor, _| actor.host.feed(Input::Clock));
        }
        if let Some((inbox, ended)) = self.inbox.take() {
            self._ended = Some(ended);
            self.host.feed(Input::Boot);
            context.add_stream(inbox);
        }
    }
}

impl StreamHandler<Envelope> for HostActor {
    fn handle(&mut self, envelope: Envelope, _: &mut Context<Self>) {
        self.host.feed(Input::Message(envelope));
    }

    fn finished(&mut self, context: &mut Context<Self>) {
        // Without its messages the machine knows nothing that is worth keeping.
        context.stop();
    }
}

impl Handler<Deliver> for HostActor {
    type Result = ();

    fn handle(&mut self, Deliver(input): Deliver, _: &mut Context<Self>) {
        self.host.feed(input);
    }
}

/// The way to a started actor, known only after its host has been made: until then nothing can
/// be delivered.
#[derive(Clone, Default)]
pub struct ActorMailbox {
    recipient: Arc<OnceLock<Recipient<Deliver>>>,
}

impl ActorMailbox {
    /// Starts an actor on one of the threads. At most `capacity` messages wait for it.
    pub fn start(&self, host: Host, capacity: usize, arbiter: &Arbiter) {
        let address = HostActor::start_in_arbiter(&arbiter.handle(), move |_| HostActor {
            host,
            mailbox_capacity: capacity,
            inbox: None,
            _ended: None,
        });
        // An actor is started once; a second start would leave the first one in place.
        let _ = self.recipient.set(address.recipient());
    }

    /// Starts an actor on this thread that boots at once and gets its messages from `inbox`.
    /// What is returned resolves when the inbox has ended, and with it the actor.
    pub fn start_here(
        &self,
        host: Host,
        inbox: BoxStream<'static, Envelope>,
    ) -> oneshot::Receiver<()> {
        let (sender, ended) = oneshot::channel();
        let address = HostActor {
            host,
            // Only the store's few answers come through the mailbox.
            mailbox_capacity: 0,
            inbox: Some((inbox, sender)),
            _ended: None,
        }
        .start();
        let _ = self.recipient.set(address.recipient());
        ended
    }

    /// Gives the actor an input that is not a message. It is never refused: these are few.
    pub fn feed(&self, input: Input) {
        if let Some(recipient) = self.recipient.get() {
            recipient.do_send(Deliver(input));
        }
    }

    /// A function that feeds the store's answers to the actor.
    pub fn replies(&self) -> Arc<dyn Fn(StoreReply) + Send + Sync> {
        let mailbox = self.clone();
        Arc::new(move |reply| mailbox.feed(Input::Stored(reply)))
    }
}

impl Mailbox for ActorMailbox {
    fn offer(&self, envelope: Envelope) -> Result<(), Rejection> {
        let recipient = self.recipient.get().ok_or(Rejection::Closed)?;
        recipient
            .try_send(Deliver(Input::Message(envelope)))
            .map_err(|error| match error {
                actix::dev::SendError::Full(_) => Rejection::Full,
                actix::dev::SendError::Closed(_) => Rejection::Closed,
            })
    }
}
