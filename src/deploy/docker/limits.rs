//! Limits of host and broker that a run meets, and their standing. Pure.
//!
//! A limit that is exceeded is a reason not to begin; one that is only noted holds as long as not
//! everybody takes all that it may.

use std::fmt;

use serde::Serialize;

use super::cost::Cost;
use super::desired::SERVICE_FILES;
use crate::report::numbers::{size, thousands};

/// Ports of a Linux bridge: `BR_MAX_PORTS`, of which one is the bridge's own.
const BRIDGE_PORTS: u64 = 1023;

/// A run's own broker: the limit of files that its container gets, the memory at which its settings
/// (`vm_memory_high_watermark`) hold senders up, and what Erlang has unless it is told otherwise.
const OWN_BROKER: BrokerLimits = BrokerLimits {
    open_files: Usage::empty(SERVICE_FILES),
    memory: Usage::empty(2_000_000_000),
    erlang_processes: Usage::empty(1_048_576),
};

/// The most of something, and how much of it is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// The most there can be.
    pub most: u64,
    /// Amount in use.
    pub used: u64,
}

impl Usage {
    const fn empty(most: u64) -> Self {
        Self { most, used: 0 }
    }
}

/// Limits of a Docker host, as far as they are known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostLimits {
    /// Name of the host, for people.
    pub name: String,
    /// Its processors.
    pub processors: u64,
    /// Containers of this run that are there already: they are among what is in use.
    pub own_containers: u64,
    /// Its memory, in bytes.
    pub memory: Usage,
    /// Networks that Docker finds addresses for.
    pub networks: Usage,
    /// Addresses of the smallest one.
    pub addresses: u64,
    /// Limits of the kernel, where Docker is on this machine.
    pub kernel: Option<KernelLimits>,
}

/// Limits of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct KernelLimits {
    /// Processes and threads.
    pub threads: Usage,
    /// Open files.
    pub open_files: Usage,
    /// Entries of the neighbour table, which all containers share. How many are in it says little: the
    /// kernel drops those that have been idle for seconds when it needs room.
    pub neighbour_entries: u64,
    /// Open files of the Docker daemon.
    pub daemon_open_files: Option<Usage>,
}

/// Limits of a broker that was there before the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BrokerLimits {
    /// Open files.
    pub open_files: Usage,
    /// Bytes of memory before it holds senders up.
    pub memory: Usage,
    /// Erlang processes.
    pub erlang_processes: Usage,
}

/// Standing of a limit for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The available amount is enough.
    Holds,
    /// More is needed than is available, but the run may well work.
    Noted,
    /// More is needed than is available.
    Exceeded,
    /// The available amount is not known.
    Unknown,
}

impl Standing {
    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Noted => "see below",
            Self::Exceeded => "exceeded",
            Self::Unknown => "unknown",
        }
    }
}

/// Unit of a limit's amounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitUnit {
    /// Things.
    Count,
    /// Bytes.
    Bytes,
}

/// Limit of a host or broker, beside what a run needs of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// Resource that is limited, and its place.
    pub what: String,
    /// Unit of the amounts.
    pub unit: LimitUnit,
    /// Amount that the run needs.
    pub needed: u64,
    /// Amount that there is for it; None if unknown.
    pub available: Option<u64>,
    /// Standing of the limit.
    pub standing: Standing,
    /// Advice for when it does not hold.
    pub advice: &'static str,
}

impl Limit {
    fn new(
        what: &str,
        unit: LimitUnit,
        needed: u64,
        available: Option<u64>,
        advice: &'static str,
    ) -> Self {
        Self {
            what: what.to_owned(),
            unit,
            needed,
            available,
            standing: match available {
                None => Standing::Unknown,
                Some(available) if needed > available => Standing::Exceeded,
                Some(_) => Standing::Holds,
            },
            advice,
        }
    }

    /// Makes an exceeded limit no reason not to begin.
    fn noted(mut self) -> Self {
        if self.standing == Standing::Exceeded {
            self.standing = Standing::Noted;
        }
        self
    }

    /// An amount of what it counts, for people.
    pub fn amount(&self, amount: u64) -> String {
        match self.unit {
            LimitUnit::Count => thousands(amount),
            LimitUnit::Bytes => size(amount),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            needed,
            advice,
            ..
        } = self;
        write!(f, "{what}: {} needed", self.amount(*needed))?;
        if let Some(available) = self.available {
            write!(f, ", {} available", self.amount(available))?;
        }
        write!(f, " ({advice})")
    }
}

/// `max_message_size` of `infra/rabbitmq`, which is also the default of brokers since 4.0.
pub const LARGEST_MESSAGE: u64 = 16 << 20;

/// Advice on limits that do not hold.
mod advice {
    pub const FEWER: &str = "host more neurons in a container with --neurons-per-unit";
    pub const POOLS: &str = "remove networks with `docker network prune`, or add to \
         default-address-pools of Docker's daemon.json";
    pub const SUBNETS: &str = "put fewer on a bridge with --containers-per-bridge, or give \
         default-address-pools of Docker's daemon.json larger subnets";
    pub const MEMORY: &str = "free some memory, or host more neurons in a container with \
         --neurons-per-unit";
    pub const OVERCOMMITTED: &str = "no reason not to begin: a limit is not what is used. Lower \
         deployment.resources.memory for the limits to protect the host";
    pub const CONTAINER: &str = "the kernel would kill it: raise deployment.resources.memory, or \
         `resources` of the layer";
    pub const COORDINATOR: &str = "the kernel would kill it: make training.batch_size or the layers \
         smaller";
    pub const TASKS: &str = "raise it with `sysctl kernel.pid_max=4194304`, or host more neurons in a \
         container with --neurons-per-unit";
    pub const FILES: &str = "raise it with `sysctl fs.file-max=...`, or host more neurons in a \
         container with --neurons-per-unit";
    pub const DAEMON: &str = "raise LimitNOFILE of Docker's service, or host more neurons in a \
         container with --neurons-per-unit";
    pub const NEIGHBOURS: &str = "containers would lose sight of the broker: raise it \
         with `sysctl net.ipv4.neigh.default.gc_thresh2=8192 \
         net.ipv4.neigh.default.gc_thresh3=16384`";
    pub const BROKER_FILES: &str = "raise the broker's limit of open files, or host more neurons in \
         a container with --neurons-per-unit";
    pub const BROKER_MEMORY: &str = "it would hold senders up: use a broker with a higher \
         vm_memory_high_watermark (--broker), or host more neurons in a container with \
         --neurons-per-unit";
    pub const MESSAGE: &str = "the broker would refuse it: make training.batch_size smaller, pool maps, or \
         host fewer neurons in a container";
    pub const BROKER_PROCESSES: &str = "use a broker with more Erlang processes (+P), or host more \
         neurons in a container with --neurons-per-unit";
}

/// Every limit that a run of this cost meets, also where host or broker are not known.
/// `broker` is one that was there; a run's own is known.
pub fn limits(cost: &Cost, host: Option<&HostLimits>, broker: Option<&BrokerLimits>) -> Vec<Limit> {
    let ours = host.map_or(0.0, |host| {
        host.own_containers as f64 / cost.containers as f64
    });
    // The run's own share of what is in use is there for it.
    let free = |usage: Option<Usage>, needed: u64| {
        let own = (needed as f64 * ours.min(1.0)) as u64;
        let others = |usage: Usage| usage.used.saturating_sub(own);
        usage.map(|usage| usage.most.saturating_sub(others(usage)))
    };
    let count = |what: &str, needed: u64, usage: Option<Usage>, advice: &'static str| {
        Limit::new(what, LimitUnit::Count, needed, free(usage, needed), advice)
    };
    let bytes = |what: &str, needed: u64, usage: Option<Usage>, advice: &'static str| {
        Limit::new(what, LimitUnit::Bytes, needed, free(usage, needed), advice)
    };
    let memory = host.map(|host| host.memory);
    let kernel = host.and_then(|host| host.kernel);
    let kernel = |of: fn(&KernelLimits) -> Option<Usage>| kernel.as_ref().and_then(of);
    let broker = if cost.broker.own {
        Some(&OWN_BROKER)
    } else {
        broker
    };
    let broker = |of: fn(&BrokerLimits) -> Usage| broker.map(of);
    let mut limits = of_networks(cost, host).to_vec();
    limits.push(bytes(
        "memory, expected use",
        cost.expected_memory(),
        memory,
        advice::MEMORY,
    ));
    let all = memory.map(|memory| Usage::empty(memory.most));
    let sum = cost.memory_limits();
    limits.push(bytes("memory, sum of limits", sum, all, advice::OVERCOMMITTED).noted());
    limits.extend(of_containers(cost));
    limits.extend([
        count(
            "processes and threads",
            cost.threads,
            kernel(|of| Some(of.threads)),
            advice::TASKS,
        ),
        count(
            "open files of the host",
            cost.open_files,
            kernel(|of| Some(of.open_files)),
            advice::FILES,
        ),
        count(
            "open files of the daemon",
            cost.daemon_open_files,
            kernel(|of| of.daemon_open_files),
            advice::DAEMON,
        ),
        count(
            "neighbour table",
            cost.neighbour_entries,
            kernel(|of| Some(Usage::empty(of.neighbour_entries))),
            advice::NEIGHBOURS,
        ),
        count(
            "broker: open files",
            cost.broker.open_files,
            broker(|of| of.open_files),
            advice::BROKER_FILES,
        ),
        bytes(
            "broker: memory",
            cost.broker.memory_bytes,
            broker(|of| of.memory),
            advice::BROKER_MEMORY,
        ),
        count(
            "broker: Erlang processes",
            cost.broker.erlang_processes,
            broker(|of| of.erlang_processes),
            advice::BROKER_PROCESSES,
        ),
        Limit::new(
            "broker: a message",
            LimitUnit::Bytes,
            cost.largest_message_bytes,
            cost.broker.own.then_some(LARGEST_MESSAGE),
            advice::MESSAGE,
        ),
    ]);
    limits
}

/// Limits of Docker's networks.
fn of_networks(cost: &Cost, host: Option<&HostLimits>) -> [Limit; 3] {
    let networks = host.map(|host| host.networks.most.saturating_sub(host.networks.used));
    let addresses = host.map(|host| host.addresses);
    let count = |what: &str, needed: u64, available: Option<u64>, advice: &'static str| {
        Limit::new(what, LimitUnit::Count, needed, available, advice)
    };
    [
        count(
            "containers on a bridge",
            cost.containers_on_a_bridge,
            Some(BRIDGE_PORTS),
            advice::FEWER,
        ),
        count("bridge networks", cost.networks, networks, advice::POOLS),
        count(
            "addresses on a bridge",
            cost.containers_on_a_bridge,
            addresses,
            advice::SUBNETS,
        ),
    ]
}

/// Containers that would need more memory than they may have.
fn of_containers(cost: &Cost) -> Vec<Limit> {
    let uses = cost.memory.iter();
    let limits = uses.map(|one| {
        let what = format!("memory of one container of {}", one.used_by);
        let advice = if one.is_unit {
            advice::CONTAINER
        } else {
            advice::COORDINATOR
        };
        Limit::new(
            &what,
            LimitUnit::Bytes,
            one.expected_bytes,
            one.limit_bytes,
            advice,
        )
    });
    limits
        .filter(|limit| limit.standing == Standing::Exceeded)
        .collect()
}

#[cfg(test)]
mod tests;
