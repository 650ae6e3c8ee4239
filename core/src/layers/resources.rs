//! Resources of a container: as the file says them, and as a checked network has them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Resources of one container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Resources {
    /// Processors.
    #[schemars(range(min = 0.01, max = 64.0))]
    pub cpu: f64,
    /// Memory with a unit: `64MiB`.
    #[schemars(regex(pattern = r"^[0-9]+(KiB|MiB|GiB)$"))]
    pub memory: String,
}

impl Resources {
    /// The memory in bytes; a number beyond 64 bits is as much as fits.
    pub fn memory_bytes(&self) -> u64 {
        let unit = self.memory.find(|c: char| !c.is_ascii_digit());
        let (digits, unit) = self.memory.split_at(unit.unwrap_or(self.memory.len()));
        let scale: u64 = match unit {
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => 1,
        };
        // The schema lets only digits through, so that an error means too many of them.
        digits.parse().unwrap_or(u64::MAX).saturating_mul(scale)
    }
}

/// Resources of the container of one unit, or of another actor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ContainerResources {
    /// Processors, as a weight against other containers.
    pub cpu: f64,
    /// Limit of memory in bytes.
    pub memory: u64,
}

impl From<&Resources> for ContainerResources {
    fn from(resources: &Resources) -> Self {
        Self {
            cpu: resources.cpu,
            memory: resources.memory_bytes(),
        }
    }
}

impl Default for Resources {
    fn default() -> Self {
        Self {
            cpu: 0.1,
            memory: "64MiB".to_owned(),
        }
    }
}
