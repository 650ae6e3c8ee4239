//! Carries a fault out, and undoes what does not end by itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use cuttlefish_core::topology::{ActorKind, Graph};

use super::replay::Replay;
use super::schedule::{Fault, Kind, Victim};
use super::watch::Sign;
use crate::attempts::for_each;
use crate::deploy::docker::DockerRun;
use crate::deploy::docker::deployment::{BrokerPlace, StorePlace};
use crate::deploy::docker::desired::{BROKER, Container, STORE, container_name};
use crate::deploy::docker::{self, Docker};
use crate::transport::amqp::Wiring;
use crate::transport::amqp::connection::SMALL_FRAMES;

/// Once held up, and let go again, in milliseconds.
const HELD: [u64; 5] = [50, 300, 120, 200, 80];
const LET_GO: Duration = Duration::from_millis(60);

const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The broker's memory alarm goes off above so much, which it always has, and above so much, which
/// is what `infra/rabbitmq` says.
const NO_MEMORY: &str = "1MB";
const USUAL_MEMORY: &str = "2GB";

/// Requests to the daemon at once.
const AT_ONCE: usize = 8;

/// What sending messages again may take beside its own time, on a busy machine.
const REPEATED_WITHIN: Duration = Duration::from_secs(60);

/// Tries to undo a fault, and the pause between them.
const UNDO_TRIES: u32 = 5;
const UNDO_PAUSE: Duration = Duration::from_secs(1);

/// Breaks things of one run.
pub struct Hand {
    deployed: Arc<DockerRun>,
    wiring: Wiring,
    containers: Vec<Container>,
    replay: Replay,
}

impl Hand {
    /// A hand for the run of a network.
    pub fn new(deployed: Arc<DockerRun>, graph: &Graph) -> anyhow::Result<Self> {
        Ok(Self {
            containers: deployed.desired(graph)?,
            wiring: Wiring::new(graph),
            replay: Replay::new(graph),
            deployed,
        })
    }

    fn docker(&self) -> &Docker {
        &self.deployed.docker
    }

    fn name(&self, actor: &str) -> String {
        container_name(self.deployed.dir.name(), actor)
    }

    /// Why a kind of fault cannot be carried out here, if it cannot.
    pub async fn obstacle(&self, kind: Kind) -> Option<String> {
        let target = match kind.victim() {
            Victim::Actor | Victim::Everybody => ActorKind::Trainer.word(),
            Victim::Broker => BROKER,
            Victim::Store => STORE,
        };
        let deployment = &self.deployment();
        let is_ours = match kind.victim() {
            Victim::Actor | Victim::Everybody => true,
            Victim::Broker => matches!(deployment.broker, BrokerPlace::Companion { .. }),
            Victim::Store => deployment.store == StorePlace::Companion,
        };
        if !is_ours {
            return Some(format!(
                "the run's {target} is not its own, so others may use it"
            ));
        }
        let name = self.name(target);
        let may = match kind {
            Kind::SlowNetwork => self.docker().may_slow_network(&name).await,
            _ if kind.kills() => self.docker().may_kill_process(&name).await,
            _ => Ok(()),
        };
        may.err().map(|error| format!("cannot {error}"))
    }

    fn deployment(&self) -> &crate::deploy::docker::Deployment {
        &self.deployed.deployment
    }

    /// What will show that the run has got over a fault that began in this generation.
    pub fn sign(kind: Kind, generation: u64) -> Sign {
        match kind {
            Kind::Kill
            | Kind::DockerKill
            | Kind::BrokerRestart
            | Kind::BrokerKill
            | Kind::BrokerWipe => Sign::TickAfter(generation),
            // No tick can do without any of the actors: the next one needs what was held up.
            Kind::Freeze
            | Kind::Zombie
            | Kind::Slow
            | Kind::SlowNetwork
            | Kind::Replay
            | Kind::Cut
            | Kind::Full
            | Kind::Asleep => Sign::Tick,
            // Ticks go on without a store.
            Kind::StoreRestart | Kind::StoreKill => Sign::Commit,
        }
    }

    /// The target's process, as far as it can be told.
    pub async fn process(&self, fault: &Fault) -> Option<i32> {
        self.docker()
            .process(&self.name(&fault.target))
            .await
            .ok()?
    }

    /// Begins a fault.
    pub async fn begin(&self, fault: &Fault) -> anyhow::Result<()> {
        let name = self.name(&fault.target);
        let docker = self.docker();
        let done = match fault.kind {
            Kind::Kill | Kind::BrokerKill | Kind::StoreKill => docker.kill_process(&name).await,
            Kind::DockerKill => docker.signal(&name, "SIGKILL").await,
            Kind::Freeze | Kind::Zombie => docker.pause(&name).await,
            Kind::Slow => Ok(()),
            Kind::SlowNetwork => docker.slow_network(&name).await,
            Kind::Replay => {
                let broker = self.deployed.broker_as_trainer().await?;
                let (actor, lasts) = (&fault.target, fault.lasts);
                let repeated = self.replay.repeat(&broker, actor, lasts);
                let in_time = tokio::time::timeout(lasts + REPEATED_WITHIN, repeated).await;
                return in_time.context("the broker takes no messages")?;
            }
            Kind::Asleep => self.of_all("pause", |name| docker.pause(name)).await,
            Kind::Cut => docker.cut(self.container(&name)?).await,
            Kind::BrokerRestart | Kind::StoreRestart => docker.restart(&name).await,
            Kind::BrokerWipe => return self.wipe().await,
            Kind::Full => self.set_memory(&name, NO_MEMORY).await,
        };
        done.map_err(|error| anyhow::anyhow!("failed to {error}"))
    }

    /// Lets a fault last as long as it should.
    pub async fn hold(&self, fault: &Fault) {
        if fault.kind != Kind::Slow {
            return tokio::time::sleep(fault.lasts).await;
        }
        let name = self.name(&fault.target);
        let until = Instant::now() + fault.lasts;
        for held in HELD.into_iter().cycle() {
            if Instant::now() >= until {
                return;
            }
            // One that ends meanwhile is not held up: the next tick will tell.
            let _ = self.docker().pause(&name).await;
            tokio::time::sleep(Duration::from_millis(held)).await;
            let _ = self.docker().unpause(&name).await;
            tokio::time::sleep(LET_GO).await;
        }
    }

    /// Ends a fault. May be repeated, and tries hard: nothing may be left broken.
    pub async fn end(&self, fault: &Fault) -> anyhow::Result<()> {
        let mut tries = 0;
        loop {
            let ended = self.try_end(fault).await;
            tries += 1;
            if ended.is_ok() || tries >= UNDO_TRIES {
                return ended;
            }
            tokio::time::sleep(UNDO_PAUSE).await;
        }
    }

    async fn try_end(&self, fault: &Fault) -> anyhow::Result<()> {
        let name = self.name(&fault.target);
        let docker = self.docker();
        let done = match fault.kind {
            Kind::Freeze | Kind::Zombie | Kind::Slow => docker.unpause(&name).await,
            Kind::SlowNetwork => docker.quicken_network(&name).await,
            Kind::Asleep => self.of_all("unpause", |name| docker.unpause(name)).await,
            // No error where somebody else has started it already.
            Kind::DockerKill => docker.start(&name, &name).await,
            Kind::Cut => docker.reconnect(self.container(&name)?).await,
            Kind::Full => self.set_memory(&name, USUAL_MEMORY).await,
            Kind::Kill
            | Kind::Replay
            | Kind::BrokerRestart
            | Kind::BrokerKill
            | Kind::BrokerWipe
            | Kind::StoreRestart
            | Kind::StoreKill => Ok(()),
        };
        done.map_err(|error| anyhow::anyhow!("failed to {error}"))
    }

    /// Resolves when what was started anew is there: an actor's or store's process, a broker that
    /// takes connections, an empty broker. At once where nothing is started anew.
    pub async fn returned(&self, fault: &Fault, before: Option<i32>) -> Option<Instant> {
        match fault.kind {
            Kind::Kill | Kind::DockerKill | Kind::StoreKill | Kind::StoreRestart => loop {
                let process = self.process(fault).await;
                if process.is_some() && process != before {
                    return Some(Instant::now());
                }
                tokio::time::sleep(LOOK_EVERY).await;
            },
            Kind::BrokerRestart | Kind::BrokerKill => loop {
                if self.broker_takes_connections().await.is_ok() {
                    return Some(Instant::now());
                }
                tokio::time::sleep(LOOK_EVERY).await;
            },
            // Removing takes the broker a while.
            Kind::BrokerWipe => Some(Instant::now()),
            _ => None,
        }
    }

    /// Does something to every container, whatever becomes of the others.
    async fn of_all<'a, F>(
        &'a self,
        verb: &str,
        what: impl Fn(&'a str) -> F,
    ) -> Result<(), docker::Error>
    where
        F: Future<Output = Result<(), docker::Error>>,
    {
        let names = self.containers.iter().map(|one| one.name.as_str());
        let left = for_each(names.collect(), AT_ONCE, what, |_| {}, &|| true).await;
        let left = left
            .into_iter()
            .map(|(name, error)| (name.to_owned(), error));
        docker::Error::of_many(verb, "container", self.containers.len(), left.collect())
    }

    async fn broker_takes_connections(&self) -> anyhow::Result<()> {
        let broker = self.deployed.broker().await?;
        let connection = broker.connect("chaos looks", SMALL_FRAMES).await?;
        Ok(connection.close().await?)
    }

    /// Removes everything of the run at its broker.
    async fn wipe(&self) -> anyhow::Result<()> {
        let broker = self.deployed.broker().await?;
        let connection = broker.connect("chaos wipes", SMALL_FRAMES).await?;
        self.wiring.remove(&connection).await?;
        Ok(connection.close().await?)
    }

    async fn set_memory(&self, name: &str, limit: &str) -> Result<(), docker::Error> {
        let command = [
            "rabbitmqctl",
            "set_vm_memory_high_watermark",
            "absolute",
            limit,
        ];
        self.docker().run_in(name, &command).await
    }

    fn container(&self, name: &str) -> anyhow::Result<&Container> {
        let found = self.containers.iter().find(|one| one.name == name);
        found.with_context(|| format!("the run has no container {name}"))
    }
}
