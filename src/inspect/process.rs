//! What a process knows of itself: when it began, and its memory.

use std::fs;

use super::metrics::number;

/// This process.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    /// When it began, in seconds since 1970.
    pub started: f64,
    /// Where the system tells.
    pub memory: Option<Memory>,
}

/// Memory of a process that is not swapped out, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// All of it: with the program and the mapped data, whose pages all containers of a host share.
    pub resident: u64,
    /// What it shares with no other process: what one more of them would take.
    pub private: u64,
}

impl Memory {
    /// This process's, from `/proc`. `status` has it in kilobytes; `statm` would need the size of a
    /// page.
    pub fn now() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/self/status").ok()?)
    }

    fn parse(status: &str) -> Option<Self> {
        let bytes = |name: &str| -> Option<u64> {
            let mut lines = status.lines();
            let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
            Some(kilobytes * 1024)
        };
        Some(Self {
            resident: bytes("VmRSS")?,
            private: bytes("RssAnon")?,
        })
    }
}

impl Process {
    /// As Prometheus reads it, without labels of ours; the names that every exporter has are used
    /// where there is one.
    pub(super) fn metrics(self) -> String {
        let mut text = String::new();
        let mut gauge = |name: &str, help: &str, value: f64| {
            let value = number(value);
            text += &format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n");
        };
        gauge(
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            self.started,
        );
        if let Some(memory) = self.memory {
            gauge(
                "process_resident_memory_bytes",
                "Resident memory size in bytes.",
                memory.resident as f64,
            );
            gauge(
                "cuttlefish_private_memory_bytes",
                "Resident memory that no other process shares, in bytes.",
                memory.private as f64,
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_as_the_kernel_writes_it() {
        let status =
            "Name:\tx\nVmRSS:\t   69000 kB\nRssAnon:\t    3904 kB\nRssFile:\t   65096 kB\n";
        let memory = Memory {
            resident: 69_000 << 10,
            private: 3_904 << 10,
        };
        assert_eq!(Memory::parse(status), Some(memory));
        assert_eq!(Memory::parse("Name:\tx\nVmRSS:\t 1 kB\n"), None);
    }
}
