//! Asking a running actor for what there is to see of it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use cuttlefish_core::ids::{Address, Generation};
use cuttlefish_core::machine::{Effects, Input, Machine};
use cuttlefish_core::view::{Dropped, SynapseView, View};
use cuttlefish_runtime::host::actor::ActorMailbox;
use cuttlefish_runtime::host::{Host, Observer, Storekeeper};
use cuttlefish_runtime::transport::MemoryTransport;

use crate::store::Embedded;

/// Far beyond what an answer takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A machine that works on an input until it is let go, and counts inputs as generations.
struct BlockedMachine {
    let_go: Receiver<()>,
    inputs: u64,
}

impl Machine for BlockedMachine {
    fn on(&mut self, _: Duration, _: Input, _: &mut dyn Effects) {
        self.let_go.recv().unwrap();
        self.inputs += 1;
    }

    fn view(&self) -> View {
        View::Synapse(SynapseView {
            below: 0,
            generation: Generation(self.inputs),
            dropped: Dropped::default(),
            tick: None,
            activations: Vec::new(),
            contributions: Vec::new(),
        })
    }
}

#[test]
fn an_actor_shows_itself_between_its_inputs_or_not_in_time() {
    actix_rt::System::new().block_on(async {
        let (let_go, gate) = channel();
        let machine = BlockedMachine {
            let_go: gate,
            inputs: 0,
        };
        let mailbox = ActorMailbox::default();
        assert_eq!(mailbox.view(PATIENCE).await, None, "not started yet");
        let observer = Arc::new(Observer::default());
        let embedded = Embedded::new().await;
        let store = Arc::new(embedded.dynamo("any"));
        let runtime = tokio::runtime::Handle::current();
        let host = Host::new(
            Address::Synapse(0),
            Box::new(machine),
            Arc::new(MemoryTransport::default()),
            Storekeeper::new(store, runtime, observer.clone()),
            observer,
            mailbox.replies(),
            Instant::now(),
        );
        let arbiter = actix_rt::Arbiter::new();
        mailbox.start(host, 4, &arbiter);
        let generation = async || Some(mailbox.view(PATIENCE).await?.generation());
        assert_eq!(generation().await, Some(Generation(0)));
        mailbox.feed(Input::Clock);
        let busy = mailbox.view(Duration::from_millis(50));
        let busy = tokio::time::timeout(PATIENCE, busy).await;
        assert_eq!(busy, Ok(None), "it works");
        let_go.send(()).unwrap();
        assert_eq!(generation().await, Some(Generation(1)));
        arbiter.stop();
        arbiter.join().unwrap();
        assert_eq!(generation().await, None, "it has ended");
    });
}
