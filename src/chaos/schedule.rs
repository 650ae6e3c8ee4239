//! Faults in order, each with its target, its duration and the pause before it. Pure: the same seed gives
//! the same faults.

use std::fmt;
use std::time::Duration;

use clap::ValueEnum;
use cuttlefish_core::ids::Address;
use cuttlefish_core::topology::{Actor, Graph, Roster};
use serde::{Serialize, Serializer};

use crate::deploy::docker::desired::{BROKER, STORE};

/// The target of what hits every container.
const EVERYBODY: &str = "everybody";

/// Kind of fault. Each is drawn as often as any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum FaultKind {
    /// Kill a neuron, synapse or trainer with SIGKILL; Docker starts it again
    Kill,
    /// Kill one with `docker kill`, after which Docker leaves it alone; start it after 1 to 4 s
    DockerKill,
    /// Freeze one for 0.5 to 8 s
    Freeze,
    /// Freeze one for 22 to 28 s: the broker gives it up after 20 s, and it wakes up as a zombie
    Zombie,
    /// Freeze one for 50 to 300 ms again and again for 3 to 8 s, so that its messages come late
    Slow,
    /// Slow what one sends down to 16 kB/s for 3 to 8 s
    SlowNetwork,
    /// Tell one everything twice for 1 to 3 s, bring about a rewind, and tell it the last of that again
    Replay,
    /// Take one off its network for 1 to 12 s
    Cut,
    /// Restart the run's broker in an orderly way; it comes back empty
    BrokerRestart,
    /// Kill the run's broker with SIGKILL; Docker starts it again, empty
    BrokerKill,
    /// Remove all queues and exchanges of the run while it uses them
    BrokerWipe,
    /// Raise the memory alarm of the run's broker for 1 to 8 s: it takes no messages
    Full,
    /// Restart the run's store in an orderly way
    StoreRestart,
    /// Kill the run's store with SIGKILL; Docker starts it again
    StoreKill,
    /// Freeze everything of the run for 22 to 28 s, like a laptop that sleeps
    Asleep,
}

/// Target of a kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultTarget {
    /// A neuron's container, a synapse or the trainer.
    Actor,
    /// The run's own broker.
    Broker,
    /// The run's own store.
    Store,
    /// Every container of the run.
    Everybody,
}

/// A fault that is to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduledFault {
    /// Time that the run is left alone before.
    pub pause: Duration,
    /// Kind of the fault.
    pub kind: FaultKind,
    /// Name of the container within the run that it hits.
    pub target: String,
    /// Duration of the fault.
    pub lasts: Duration,
}

/// An endless sequence of faults.
#[derive(Clone, Debug)]
pub struct FaultSchedule {
    draws: SplitMix64,
    trainer: String,
    units: Vec<String>,
    /// Actors that host no neurons, without the trainer.
    others: Vec<String>,
    kinds: Vec<FaultKind>,
    /// The kinds of this round that are left: every kind comes once a round.
    deck: Vec<FaultKind>,
    pause: Duration,
}

impl FaultKind {
    /// Target of the kind.
    pub fn target(self) -> FaultTarget {
        match self {
            Self::Kill
            | Self::DockerKill
            | Self::Freeze
            | Self::Zombie
            | Self::Slow
            | Self::SlowNetwork
            | Self::Replay
            | Self::Cut => FaultTarget::Actor,
            Self::BrokerRestart | Self::BrokerKill | Self::BrokerWipe | Self::Full => {
                FaultTarget::Broker
            }
            Self::StoreRestart | Self::StoreKill => FaultTarget::Store,
            Self::Asleep => FaultTarget::Everybody,
        }
    }

    /// True if it needs the right to kill a process of the host.
    pub fn kills(self) -> bool {
        matches!(self, Self::Kill | Self::BrokerKill | Self::StoreKill)
    }

    /// True if it lasts until it is ended.
    pub fn is_held(self) -> bool {
        self.lasts() != (0, 0) && self != Self::Replay
    }

    /// Shortest and longest time that it lasts, in milliseconds.
    fn lasts(self) -> (u64, u64) {
        match self {
            Self::DockerKill => (1000, 4000),
            Self::Freeze => (500, 8000),
            Self::Zombie | Self::Asleep => (22_000, 28_000),
            Self::Slow | Self::SlowNetwork => (3000, 8000),
            Self::Replay => (1000, 3000),
            Self::Cut => (1000, 12_000),
            Self::Full => (1000, 8000),
            Self::Kill
            | Self::BrokerRestart
            | Self::BrokerKill
            | Self::BrokerWipe
            | Self::StoreRestart
            | Self::StoreKill => (0, 0),
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.to_possible_value();
        f.pad(name.as_ref().map_or("", |name| name.get_name()))
    }
}

impl Serialize for FaultKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FaultSchedule {
    /// Faults of the given kinds, of which there must be one, for the run of a network.
    pub fn new(seed: u64, graph: &Graph, kinds: &[FaultKind], pause: Duration) -> Self {
        assert!(!kinds.is_empty(), "there is a kind to draw from");
        let roster = Roster::new(graph);
        let members = roster.members().map(|address| roster.actor(address));
        let (units, others) = members.partition::<Vec<_>, _>(|actor| actor.neurons.is_some());
        let names = |actors: Vec<Actor>| actors.into_iter().map(|actor| actor.name).collect();
        Self {
            draws: SplitMix64(seed),
            trainer: roster.actor(Address::Trainer).name,
            units: names(units),
            others: names(others),
            kinds: kinds.to_vec(),
            deck: Vec::new(),
            pause,
        }
    }

    /// A neuron's container in three of five, otherwise a synapse or the trainer: those are few,
    /// and each has work of its own when it comes back.
    fn actor(&mut self) -> String {
        let (who, which) = (self.draws.below(5), self.draws.next());
        let one_of = |names: &[String]| names[scale(which, names.len())].clone();
        match who {
            0 => self.trainer.clone(),
            1 if !self.others.is_empty() => one_of(&self.others),
            _ => one_of(&self.units),
        }
    }
}

impl Iterator for FaultSchedule {
    type Item = ScheduledFault;

    fn next(&mut self) -> Option<ScheduledFault> {
        if self.deck.is_empty() {
            self.deck.clone_from(&self.kinds);
            for i in (1..self.deck.len()).rev() {
                let j = self.draws.below(i + 1);
                self.deck.swap(i, j);
            }
        }
        let kind = self.deck.pop()?;
        let actor = self.actor();
        let (shortest, longest) = kind.lasts();
        let lasts = shortest + self.draws.below((longest - shortest) as usize + 1) as u64;
        // Between half of the pause and one and a half.
        let percent = 50 + self.draws.below(101) as u32;
        Some(ScheduledFault {
            pause: self.pause * percent / 100,
            kind,
            target: match kind.target() {
                FaultTarget::Actor => actor,
                FaultTarget::Broker => BROKER.to_owned(),
                FaultTarget::Store => STORE.to_owned(),
                FaultTarget::Everybody => EVERYBODY.to_owned(),
            },
            lasts: Duration::from_millis(lasts),
        })
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014), written out because a seed must give the same faults
/// with every version of every library.
#[derive(Clone, Debug)]
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        scale(self.next(), n)
    }
}

/// A draw as a number below `n`.
fn scale(draw: u64, n: usize) -> usize {
    ((u128::from(draw) * n as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use cuttlefish_core::topology::spec::ImageSource;
    use cuttlefish_core::topology::{self, DataShape, Grouping};

    use super::*;

    fn schedule(seed: u64) -> FaultSchedule {
        let text = include_str!("../../topology/digits.yaml");
        let document = topology::parse(text, &[]).unwrap();
        let dataset = crate::data::digits::load(&ImageSource::default()).unwrap();
        let graph = document.graph(&DataShape::from(&dataset), Grouping::FromFile);
        let pause = Duration::from_secs(2);
        FaultSchedule::new(seed, &graph.unwrap(), FaultKind::value_variants(), pause)
    }

    #[test]
    fn a_seed_gives_the_same_faults_again_and_another_seed_others() {
        let faults = |seed| schedule(seed).take(100).collect::<Vec<_>>();
        assert_eq!(faults(1), faults(1));
        assert_ne!(faults(1), faults(2));
    }

    #[test]
    fn every_kind_comes_once_a_round_and_lasts_as_long_as_it_says() {
        let n = FaultKind::value_variants().len();
        let faults: Vec<ScheduledFault> = schedule(3).take(10 * n).collect();
        for round in faults.chunks(n) {
            let kinds: BTreeSet<FaultKind> = round.iter().map(|fault| fault.kind).collect();
            assert_eq!(kinds.len(), n);
        }
        for fault in faults {
            let (shortest, longest) = fault.kind.lasts();
            let lasts = fault.lasts.as_millis() as u64;
            assert!((shortest..=longest).contains(&lasts), "{fault:?}");
            assert!(
                (1000..=3000).contains(&fault.pause.as_millis()),
                "{fault:?}"
            );
        }
    }

    #[test]
    fn neurons_synapses_and_the_trainer_are_all_hit() {
        let mut hits: BTreeMap<String, usize> = BTreeMap::new();
        let n = 1200;
        for fault in schedule(5).take(n) {
            let of_layer = fault.target.split('.').next().unwrap_or_default();
            *hits.entry(of_layer.to_owned()).or_default() += 1;
        }
        // Eight of fifteen kinds hit actors, four the broker, two the store, one everybody.
        let few = ["broker", "store", EVERYBODY].map(|who| hits[who]);
        assert_eq!(few, [n * 4 / 15, n * 2 / 15, n / 15], "{hits:?}");
        for (who, at_least) in [
            ("trainer", 80),
            ("synapse", 80),
            ("hidden", 250),
            ("digit", 8),
        ] {
            assert!(hits[who] >= at_least, "{who}: {hits:?}");
        }
    }
}
