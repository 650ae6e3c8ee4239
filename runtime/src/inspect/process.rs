//! The process: when it began, and its memory.

use std::fs;

use super::metrics::number;

/// This process.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    /// Its start, in seconds since 1970.
    pub started: f64,
    /// Its memory; None where the system does not tell.
    pub memory: Option<ProcessMemory>,
}

/// Memory of a process that is not swapped out, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessMemory {
    /// All of it, whoever else maps it too: the program and the mapped data with it.
    pub resident: u64,
    /// Memory that no other process maps, which its end would free (the "unique set size"); None where the
    /// system does not tell.
    pub private: Option<u64>,
}

impl ProcessMemory {
    /// This process's, from `/proc`.
    pub fn now() -> Option<Self> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let sums = fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
        Self::parse(&status, &sums)
    }

    fn parse(status: &str, sums: &str) -> Option<Self> {
        let private = bytes(sums, "Private_Clean").zip(bytes(sums, "Private_Dirty"));
        Some(Self {
            resident: bytes(status, "VmRSS")?,
            private: private.map(|(clean, dirty)| clean + dirty),
        })
    }
}

/// Bytes that a file of `/proc` says in kilobytes.
fn bytes(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines();
    let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
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
            if let Some(private) = memory.private {
                gauge(
                    "cuttlefish_private_memory_bytes",
                    "Resident memory that no other process maps, in bytes.",
                    private as f64,
                );
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_as_the_kernel_writes_it() {
        let status = "Name:\tx\nVmRSS:\t   69000 kB\nRssAnon:\t    3904 kB\n";
        let sums = "Rss:  69000 kB\nPrivate_Clean:    96 kB\nPrivate_Dirty:  3904 kB\n";
        let mut memory = ProcessMemory {
            resident: 69_000 << 10,
            private: Some(4_000 << 10),
        };
        assert_eq!(ProcessMemory::parse(status, sums), Some(memory));
        memory.private = None;
        assert_eq!(ProcessMemory::parse(status, ""), Some(memory));
        assert_eq!(ProcessMemory::parse("Name:\tx\n", sums), None);
    }
}
