//! Options of a run on a Docker host.

use std::path::PathBuf;

use cuttlefish_core::data::Feed;

use super::cost::Layout;
use super::deployment::{BrokerPlace, Deployment, StorePlace};
use super::desired::CONTAINERS_PER_BRIDGE;
use crate::transport::amqp::Broker;

/// Broker, store and images, as far as a person has named them.
#[derive(Clone, Debug)]
pub struct DockerOptions {
    /// A broker that is there, with its management API if it is not at the usual port.
    pub broker: Option<(Broker, Option<String>)>,
    /// The image of the run's own broker otherwise.
    pub broker_image: String,
    /// A store that is there: `Some(None)` is the DynamoDB of the environment's region.
    pub store: Option<Option<String>>,
    /// Name of the table; None keeps the run's present one, or takes the usual one.
    pub table: Option<String>,
    /// Feed of the first layer; None keeps the run's present one, or takes references.
    pub feed: Option<Feed>,
    /// Actors on a bridge, at most; None keeps the run's present number, or takes [`CONTAINERS_PER_BRIDGE`].
    pub containers_per_bridge: Option<usize>,
    /// A neuron image that is there.
    pub image: Option<String>,
    /// The program to build the neuron image from.
    pub program: Option<PathBuf>,
}

/// The official image, with the dashboard.
pub const DEFAULT_BROKER_IMAGE: &str = "rabbitmq:4-management";

impl Default for DockerOptions {
    fn default() -> Self {
        Self {
            broker: None,
            broker_image: DEFAULT_BROKER_IMAGE.to_owned(),
            store: None,
            table: None,
            feed: None,
            containers_per_bridge: None,
            image: None,
            program: None,
        }
    }
}

impl DockerOptions {
    /// Feed of the first layer of a run whose present deployment is `before`.
    pub fn feed(&self, before: Option<&Deployment>) -> Feed {
        let recorded = before.map(|before| before.feed);
        self.feed.or(recorded).unwrap_or_default()
    }

    /// Layout on its host of a run whose present deployment is `before`.
    pub fn layout(&self, before: Option<&Deployment>) -> Layout {
        let is_ours = |place: &BrokerPlace| matches!(place, BrokerPlace::Companion { .. });
        let recorded = before.map(|before| before.containers_per_bridge);
        let per_bridge = self.containers_per_bridge.or(recorded);
        Layout {
            own_broker: self.broker.is_none()
                && before.is_none_or(|before| is_ours(&before.broker)),
            own_store: self.store.is_none()
                && before.is_none_or(|before| before.store == StorePlace::Companion),
            per_bridge: per_bridge.unwrap_or(CONTAINERS_PER_BRIDGE),
        }
    }
}
