//! Injection of faults: carries one out, and undoes what does not end by itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use cuttlefish_core::topology::{ActorKind, Graph};

use super::replay::Replay;
use super::schedule::{FaultKind, FaultTarget, ScheduledFault};
use super::watch::Sign;
use crate::attempts::for_each;
use crate::deploy::docker::DockerRun;
use crate::deploy::docker::deployment::{BrokerPlace, StorePlace};
use crate::deploy::docker::desired::{BROKER, Container, STORE, container_name};
use crate::deploy::docker::{self, Docker};
use crate::transport::amqp::Wiring;
use crate::transport::amqp::connection::SMALL_FRAMES;

/// Stalls of a slow container in milliseconds, and the gap after each.
const STALLS: [u64; 5] = [50, 300, 120, 200, 80];
const STALL_GAP: Duration = Duration::from_millis(60);

const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Memory above which the broker's alarm goes off: one that it always uses, and that of `infra/rabbitmq`.
const ALARM_LIMIT: &str = "1MB";
const USUAL_LIMIT: &str = "2GB";

/// Requests to the daemon at once.
const AT_ONCE: usize = 8;

/// Time that sending messages again may take beside its own duration, on a busy machine.
const REPEATED_WITHIN: Duration = Duration::from_secs(60);

/// Tries to undo a fault, and the pause between them.
const UNDO_TRIES: u32 = 5;
const UNDO_PAUSE: Duration = Duration::from_secs(1);

/// Injector of faults into one run.
pub struct FaultInjector {
    run: Arc<DockerRun>,
    wiring: Wiring,
    containers: Vec<Container>,
    replay: Replay,
}

impl FaultInjector {
    /// An injector for the run of a network.
    pub fn new(run: Arc<DockerRun>, graph: &Graph) -> anyhow::Result<Self> {
        Ok(Self {
            containers: run.desired(graph)?,
            wiring: Wiring::new(graph),
            replay: Replay::new(graph),
            run,
        })
    }

    fn docker(&self) -> &Docker {
        &self.run.docker
    }

    fn name(&self, actor: &str) -> String {
        container_name(self.run.dir.name(), actor)
    }

    /// Reason why a kind of fault cannot be carried out here, if it cannot.
    pub async fn obstacle(&self, kind: FaultKind) -> Option<String> {
        let target = match kind.target() {
            FaultTarget::Actor | FaultTarget::Everybody => ActorKind::Trainer.word(),
            FaultTarget::Broker => BROKER,
            FaultTarget::Store => STORE,
        };
        let deployment = &self.deployment();
        let is_ours = match kind.target() {
            FaultTarget::Actor | FaultTarget::Everybody => true,
            FaultTarget::Broker => matches!(deployment.broker, BrokerPlace::Companion { .. }),
            FaultTarget::Store => deployment.store == StorePlace::Companion,
        };
        if !is_ours {
            return Some(format!(
                "the run's {target} is not its own, so others may use it"
            ));
        }
        let name = self.name(target);
        let may = match kind {
            FaultKind::SlowNetwork => self.docker().may_slow_network(&name).await,
            _ if kind.kills() => self.docker().may_kill_process(&name).await,
            _ => Ok(()),
        };
        may.err().map(|error| format!("cannot {error}"))
    }

    fn deployment(&self) -> &crate::deploy::docker::Deployment {
        &self.run.deployment
    }

    /// Sign that the run has got over a fault that began in this generation.
    pub fn sign(kind: FaultKind, generation: u64) -> Sign {
        match kind {
            FaultKind::Kill
            | FaultKind::DockerKill
            | FaultKind::BrokerRestart
            | FaultKind::BrokerKill
            | FaultKind::BrokerWipe => Sign::TickAfter(generation),
            // No tick can do without any of the actors: the next one needs what was held up.
            FaultKind::Freeze
            | FaultKind::Zombie
            | FaultKind::Slow
            | FaultKind::SlowNetwork
            | FaultKind::Replay
            | FaultKind::Cut
            | FaultKind::Full
            | FaultKind::Asleep => Sign::Tick,
            // Ticks go on without a store.
            FaultKind::StoreRestart | FaultKind::StoreKill => Sign::Commit,
        }
    }

    /// Process ID of the target; None where it cannot be told.
    pub async fn process(&self, fault: &ScheduledFault) -> Option<i32> {
        self.docker()
            .process(&self.name(&fault.target))
            .await
            .ok()?
    }

    /// Begins a fault.
    pub async fn begin(&self, fault: &ScheduledFault) -> anyhow::Result<()> {
        let name = self.name(&fault.target);
        let docker = self.docker();
        let result = match fault.kind {
            FaultKind::Kill | FaultKind::BrokerKill | FaultKind::StoreKill => {
                docker.kill_process(&name).await
            }
            FaultKind::DockerKill => docker.signal(&name, "SIGKILL").await,
            FaultKind::Freeze | FaultKind::Zombie => docker.pause(&name).await,
            FaultKind::Slow => Ok(()),
            FaultKind::SlowNetwork => docker.slow_network(&name).await,
            FaultKind::Replay => {
                let broker = self.run.broker_as_trainer().await?;
                let (actor, lasts) = (&fault.target, fault.lasts);
                let repeated = self.replay.repeat(&broker, actor, lasts);
                let in_time = tokio::time::timeout(lasts + REPEATED_WITHIN, repeated).await;
                return in_time.context("the broker takes no messages")?;
            }
            FaultKind::Asleep => self.of_all("pause", |name| docker.pause(name)).await,
            FaultKind::Cut => docker.cut(self.container(&name)?).await,
            FaultKind::BrokerRestart | FaultKind::StoreRestart => docker.restart(&name).await,
            FaultKind::BrokerWipe => return self.wipe().await,
            FaultKind::Full => self.set_memory(&name, ALARM_LIMIT).await,
        };
        result.map_err(|error| anyhow::anyhow!("failed to {error}"))
    }

    /// Lets a fault last as long as it should.
    pub async fn hold(&self, fault: &ScheduledFault) {
        if fault.kind != FaultKind::Slow {
            return tokio::time::sleep(fault.lasts).await;
        }
        let name = self.name(&fault.target);
        let until = Instant::now() + fault.lasts;
        for stall in STALLS.into_iter().cycle() {
            if Instant::now() >= until {
                return;
            }
            // One that ends meanwhile is not held up: the next tick will tell.
            let _ = self.docker().pause(&name).await;
            tokio::time::sleep(Duration::from_millis(stall)).await;
            let _ = self.docker().unpause(&name).await;
            tokio::time::sleep(STALL_GAP).await;
        }
    }

    /// Ends a fault. May be repeated, and tries hard: nothing may be left broken.
    pub async fn end(&self, fault: &ScheduledFault) -> anyhow::Result<()> {
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

    async fn try_end(&self, fault: &ScheduledFault) -> anyhow::Result<()> {
        let name = self.name(&fault.target);
        let docker = self.docker();
        let result = match fault.kind {
            FaultKind::Freeze | FaultKind::Zombie | FaultKind::Slow => docker.unpause(&name).await,
            FaultKind::SlowNetwork => docker.quicken_network(&name).await,
            FaultKind::Asleep => self.of_all("unpause", |name| docker.unpause(name)).await,
            // No error where somebody else has started it already.
            FaultKind::DockerKill => docker.start(&name, &name).await,
            FaultKind::Cut => docker.reconnect(self.container(&name)?).await,
            FaultKind::Full => self.set_memory(&name, USUAL_LIMIT).await,
            FaultKind::Kill
            | FaultKind::Replay
            | FaultKind::BrokerRestart
            | FaultKind::BrokerKill
            | FaultKind::BrokerWipe
            | FaultKind::StoreRestart
            | FaultKind::StoreKill => Ok(()),
        };
        result.map_err(|error| anyhow::anyhow!("failed to {error}"))
    }

    /// Time at which something started anew is there: an actor's or store's process, a broker that takes
    /// connections, an empty broker. None at once where nothing is started anew.
    pub async fn restart_time(
        &self,
        fault: &ScheduledFault,
        before: Option<i32>,
    ) -> Option<Instant> {
        match fault.kind {
            FaultKind::Kill
            | FaultKind::DockerKill
            | FaultKind::StoreKill
            | FaultKind::StoreRestart => loop {
                let process = self.process(fault).await;
                if process.is_some() && process != before {
                    return Some(Instant::now());
                }
                tokio::time::sleep(POLL_INTERVAL).await;
            },
            FaultKind::BrokerRestart | FaultKind::BrokerKill => loop {
                if self.broker_takes_connections().await.is_ok() {
                    return Some(Instant::now());
                }
                tokio::time::sleep(POLL_INTERVAL).await;
            },
            // Removing takes the broker a while.
            FaultKind::BrokerWipe => Some(Instant::now()),
            _ => None,
        }
    }

    /// Applies `action` to every container, whatever becomes of the others.
    async fn of_all<'a, F>(
        &'a self,
        verb: &str,
        action: impl Fn(&'a str) -> F,
    ) -> Result<(), docker::Error>
    where
        F: Future<Output = Result<(), docker::Error>>,
    {
        let names = self.containers.iter().map(|one| one.name.as_str());
        let failures = for_each(names.collect(), AT_ONCE, action, |_| {}, &|| true).await;
        let failures = failures
            .into_iter()
            .map(|(name, error)| (name.to_owned(), error));
        docker::Error::of_many(verb, "container", self.containers.len(), failures.collect())
    }

    async fn broker_takes_connections(&self) -> anyhow::Result<()> {
        let broker = self.run.broker().await?;
        let connection = broker.connect("chaos looks", SMALL_FRAMES).await?;
        Ok(connection.close().await?)
    }

    /// Removes everything of the run at its broker.
    async fn wipe(&self) -> anyhow::Result<()> {
        let broker = self.run.broker().await?;
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
        let container = self.containers.iter().find(|one| one.name == name);
        container.with_context(|| format!("the run has no container {name}"))
    }
}
