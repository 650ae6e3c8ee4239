//! Memory and limits of a Docker host: the daemon says some of them, the kernel the rest where the daemon is
//! on this machine.

use std::path::Path;

use bollard::models::{Network, SystemInfo, SystemInfoDefaultAddressPools};
use bollard::query_parameters::ListNetworksOptions;

use super::limits::{HostLimits, KernelLimits, Usage};
use super::render::label;
use super::{Docker, Error};

/// File with the daemon's process ID.
const DAEMON_PID: &str = "/var/run/docker.pid";

/// Address pools of Docker, unless `default-address-pools` says otherwise: fifteen networks of 172.17.0.0/12
/// with 16 bits for hosts, and sixteen of 192.168.0.0/16 with 12.
const DEFAULT_NETWORKS: u64 = 31;
const DEFAULT_HOST_BITS: u32 = 12;

/// Addresses that no container gets: the network's own, the gateway's, the broadcast's.
const TAKEN_ADDRESSES: u64 = 3;

impl Docker {
    /// Memory and limits of the host, for the run `run`.
    pub async fn host(&self, run: &str) -> Result<HostLimits, Error> {
        let info = self.info().await?;
        let listed = self
            .client()
            .list_networks(None::<ListNetworksOptions>)
            .await;
        let networks = listed.map_err(|error| Error::api("list networks", error))?;
        let observed = self.observe(Some(run)).await?;
        let ours = observed
            .iter()
            .filter(|(_, container)| container.is_running());
        let total = info.mem_total.unwrap_or_default().max(0) as u64;
        let machine = ThisMachine::read();
        let is_this_machine = machine.is_host_of(&info);
        let (most, addresses) = pools(info.default_address_pools.as_deref().unwrap_or_default());
        let name = info.name.as_deref().unwrap_or("a host");
        let version = info.server_version.as_deref().unwrap_or_default();
        Ok(HostLimits {
            name: format!("Docker {version} on {name}"),
            processors: info.ncpu.unwrap_or_default().max(0) as u64,
            own_containers: ours.count() as u64,
            memory: Usage {
                most: total,
                // Elsewhere it is not known, and taken for free.
                used: match machine.memory_available {
                    Some(available) if is_this_machine => total.saturating_sub(available),
                    _ => 0,
                },
            },
            networks: Usage {
                most,
                used: networks
                    .iter()
                    .filter(|one| takes_addresses(one, run))
                    .count() as u64,
            },
            addresses,
            kernel: if is_this_machine { kernel() } else { None },
        })
    }

    pub(super) async fn info(&self) -> Result<SystemInfo, Error> {
        let info = self.client().info().await;
        info.map_err(|error| Error::api("ask what Docker is", error))
    }
}

/// True if a network has its addresses from Docker's pools, and not for this run.
fn takes_addresses(network: &Network, run: &str) -> bool {
    let is_ours = network
        .labels
        .as_ref()
        .and_then(|labels| labels.get(label::RUN));
    network.driver.as_deref() == Some("bridge") && is_ours.map(String::as_str) != Some(run)
}

/// Number of networks in the daemon's address pools, and of containers that fit in the smallest.
fn pools(pools: &[SystemInfoDefaultAddressPools]) -> (u64, u64) {
    let (mut networks, mut host_bits) = (0_u64, u32::MAX);
    for pool in pools {
        let base = pool.base.as_deref().unwrap_or_default();
        let Some((address, bits)) = base.split_once('/') else {
            continue;
        };
        let (Ok(_), Ok(bits), Some(Ok(size))) = (
            address.parse::<std::net::Ipv4Addr>(),
            bits.parse::<u32>(),
            pool.size.map(u32::try_from),
        ) else {
            continue; // IPv6 pools are beside those of IPv4
        };
        if bits <= size && size <= 32 {
            networks += 1 << (size - bits);
            host_bits = host_bits.min(32 - size);
        }
    }
    if networks == 0 {
        (networks, host_bits) = (DEFAULT_NETWORKS, DEFAULT_HOST_BITS);
    }
    (
        networks,
        (1_u64 << host_bits).saturating_sub(TAKEN_ADDRESSES),
    )
}

/// This machine, to tell whether a daemon is on it.
struct ThisMachine {
    release: Option<String>,
    memory: Option<u64>,
    memory_available: Option<u64>,
}

impl ThisMachine {
    fn read() -> Self {
        let meminfo = read("/proc/meminfo").unwrap_or_default();
        Self {
            release: read("/proc/sys/kernel/osrelease"),
            memory: kibibytes(&meminfo, "MemTotal:"),
            memory_available: kibibytes(&meminfo, "MemAvailable:"),
        }
    }

    /// True if kernel and memory are the daemon's: a virtual machine on this one has other memory.
    fn is_host_of(&self, info: &SystemInfo) -> bool {
        let release = self.release.as_deref().map(str::trim);
        release.is_some()
            && release == info.kernel_version.as_deref()
            && self.memory.map(|bytes| bytes as i64) == info.mem_total
    }
}

fn kernel() -> Option<KernelLimits> {
    let number = |path: &str| read(path)?.trim().parse::<u64>().ok();
    let threads = number("/proc/sys/kernel/threads-max")?;
    // `running/all` is the fourth word.
    let load = read("/proc/loadavg")?;
    let (_, tasks) = load.split_whitespace().nth(3)?.split_once('/')?;
    let files = read("/proc/sys/fs/file-nr")?;
    let mut files = files
        .split_whitespace()
        .map(|word| word.parse::<u64>().ok());
    Some(KernelLimits {
        threads: Usage {
            most: number("/proc/sys/kernel/pid_max")?.min(threads),
            used: tasks.parse().ok()?,
        },
        open_files: Usage {
            used: files.next()??,
            most: files.nth(1)??,
        },
        neighbour_entries: number("/proc/sys/net/ipv4/neigh/default/gc_thresh3")?,
        daemon_open_files: daemon_files(),
    })
}

/// Limit of the daemon's open files, and those in use; 0 where we may not see them.
fn daemon_files() -> Option<Usage> {
    let pid: u32 = read(DAEMON_PID)?.trim().parse().ok()?;
    let limits = read(format!("/proc/{pid}/limits"))?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    // Go programs raise the soft limit to the hard one.
    let most = line.split_whitespace().nth(1)?.parse().ok()?;
    let open = std::fs::read_dir(format!("/proc/{pid}/fd"));
    Some(Usage {
        most,
        used: open.map_or(0, |files| files.count() as u64),
    })
}

fn kibibytes(meminfo: &str, name: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
    let number = line.split_whitespace().next()?.parse::<u64>().ok()?;
    Some(number << 10)
}

fn read(path: impl AsRef<Path>) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_pools_are_counted() {
        let pool = |base: &str, size: i64| SystemInfoDefaultAddressPools {
            base: Some(base.to_owned()),
            size: Some(size),
        };
        assert_eq!(pools(&[]), (31, 4093), "Docker's own");
        let some = [pool("10.10.0.0/16", 24), pool("172.30.0.0/16", 20)];
        assert_eq!(pools(&some), (256 + 16, 253));
        let odd = [
            pool("fd00::/48", 64),
            pool("10.0.0.0", 24),
            pool("10.0.0.0/24", 16),
        ];
        assert_eq!(pools(&odd), (31, 4093), "what is no IPv4 pool says nothing");
    }

    #[test]
    fn the_kernel_of_this_machine_is_read() {
        let kernel = kernel().expect("Linux");
        for usage in [kernel.threads, kernel.open_files] {
            assert!(0 < usage.used && usage.used < usage.most, "{usage:?}");
        }
        let machine = ThisMachine::read();
        assert!(
            machine.memory_available.expect("it is said") < machine.memory.expect("it is said")
        );
        assert!(!machine.is_host_of(&SystemInfo::default()));
    }
}
