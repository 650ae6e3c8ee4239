//! Options for broker, store and images of a run in containers, as several commands take them.

use std::path::PathBuf;

use cuttlefish_core::data::Feed;

use crate::config::{self, Config};
use crate::deploy::docker::DockerOptions;
use crate::deploy::docker::desired::CONTAINERS_PER_BRIDGE;
use crate::deploy::docker::options::DEFAULT_BROKER_IMAGE;
use crate::run::Error;
use crate::transport::amqp::Broker;

const MOST_PER_BRIDGE: i64 = CONTAINERS_PER_BRIDGE as i64;

/// Way of batches to the first layer.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
pub enum DataArg {
    /// Units read the data set, which is mounted into their containers
    #[default]
    Reference,
    /// The trainer sends the values, for hosts that do not share the data
    Broadcast,
}

impl DataArg {
    pub fn feed(self) -> Feed {
        match self {
            Self::Reference => Feed::Reference,
            Self::Broadcast => Feed::Broadcast,
        }
    }
}

/// Options of runs in containers.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Options for --target docker")]
pub struct ServiceArgs {
    /// Use this broker instead of one of the run's own: amqp://user:password@host:port/vhost, amqps
    /// for TLS [env: CUTTLEFISH_BROKER]
    #[arg(long, value_name = "URL")]
    broker: Option<String>,
    /// The broker's management API, where the run gets a virtual host and users of its own
    /// [env: CUTTLEFISH_BROKER_API] [default: port 15672 of the broker, if it answers]
    #[arg(long, value_name = "URL")]
    broker_api: Option<String>,
    /// Certificates to trust at the broker beside the system's, a PEM file
    /// [env: CUTTLEFISH_BROKER_CA]
    #[arg(long, value_name = "FILE")]
    broker_ca: Option<PathBuf>,
    /// Image of the run's own broker [env: CUTTLEFISH_BROKER_IMAGE] [default:
    /// rabbitmq:4-management]
    #[arg(long, value_name = "IMAGE", conflicts_with = "broker")]
    broker_image: Option<String>,
    /// Use this DynamoDB instead of a store of the run's own: `aws` for the region's, or the URL of
    /// an emulator [env: AWS_ENDPOINT_URL_DYNAMODB]
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// The table of the store [default: cuttlefish]
    #[arg(long, value_name = "NAME")]
    table: Option<String>,
    /// How batches get to the first layer [default: reference]
    #[arg(long, value_enum)]
    data: Option<DataArg>,
    /// Put at most so many containers on a bridge network, and the others on further ones; fewer
    /// where Docker's networks have few addresses [default: 900]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=MOST_PER_BRIDGE))]
    containers_per_bridge: Option<u16>,
    /// Use this neuron image instead of one that is built when it is missing
    #[arg(long, value_name = "IMAGE", conflicts_with = "program")]
    image: Option<String>,
    /// The program to build the neuron image from [default: cuttlefish-neuron beside this program]
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

impl ServiceArgs {
    /// Flags win over the environment. A run that is up keeps its broker and its store: a flag may
    /// say that it wants others, and is refused; the environment is only for runs that are new.
    pub fn resolve(&self, config: &Config, is_up: bool) -> Result<DockerOptions, Error> {
        let mut addresses = config.services.clone();
        if is_up {
            addresses = config::ServiceAddresses {
                broker_image: addresses.broker_image,
                ..config::ServiceAddresses::default()
            };
        }
        // A broker's image on the command line means one of the run's own.
        let url = self.broker.as_ref().or_else(|| {
            let environment = addresses.broker.as_ref();
            environment.filter(|_| self.broker_image.is_none())
        });
        let broker = match url {
            Some(url) => {
                let ca = self.broker_ca.as_deref().or(addresses.broker_ca.as_deref());
                let broker = Broker::parse(url, ca)
                    .map_err(|error| Error::Unfit(format!("failed to {error}")))?;
                let base = self.broker_api.as_ref().or(addresses.broker_api.as_ref());
                Some((broker, base.cloned()))
            }
            None => None,
        };
        let image = self
            .broker_image
            .as_ref()
            .or(addresses.broker_image.as_ref());
        let store = match self.store.as_deref() {
            Some("aws") => Some(None),
            Some(url) if url.starts_with("http://") || url.starts_with("https://") => {
                Some(Some(url.to_owned()))
            }
            Some(other) => {
                return Err(Error::Unfit(format!(
                    "--store: `{other}` is neither `aws` nor a URL like http://host:8000"
                )));
            }
            None => addresses.dynamodb.clone().map(Some),
        };
        Ok(DockerOptions {
            broker,
            broker_image: image
                .map_or(DEFAULT_BROKER_IMAGE, String::as_str)
                .to_owned(),
            store,
            table: self.table.clone(),
            feed: self.data.map(DataArg::feed),
            containers_per_bridge: self.containers_per_bridge.map(usize::from),
            image: self.image.clone(),
            program: self.program.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    #[derive(clap::Parser)]
    struct CommandLine {
        #[command(flatten)]
        services: ServiceArgs,
    }

    fn resolve(flags: &[&str], is_up: bool) -> DockerOptions {
        let variables = |name: &str| match name {
            "CUTTLEFISH_BROKER" => Some(OsString::from("amqp://u:p@environment/v")),
            "CUTTLEFISH_BROKER_API" => Some("http://environment:1".into()),
            "CUTTLEFISH_BROKER_IMAGE" => Some("image:environment".into()),
            "AWS_ENDPOINT_URL_DYNAMODB" => Some("http://environment:2".into()),
            _ => None,
        };
        let config = Config::new(None, None, variables);
        let line: CommandLine = clap::Parser::parse_from(["cuttlefish"].iter().chain(flags));
        line.services.resolve(&config, is_up).unwrap()
    }

    #[test]
    fn the_environment_says_where_new_runs_find_things_but_moves_none_that_is_up() {
        let new = resolve(&[], false);
        let (broker, api) = new.broker.unwrap();
        assert_eq!(broker.host(), "environment");
        assert_eq!(api.as_deref(), Some("http://environment:1"));
        assert_eq!(new.store, Some(Some("http://environment:2".to_owned())));

        let up = resolve(&[], true);
        assert!(up.broker.is_none(), "the run has one");
        assert_eq!(up.store, None, "the run has one");
        assert_eq!(up.broker_image, "image:environment");
    }

    #[test]
    fn flags_are_orders_for_every_run() {
        let flags = ["--broker", "amqp://u:p@flag/v", "--store", "aws"];
        for (is_up, expected_api) in [(false, Some("http://environment:1")), (true, None)] {
            let services = resolve(&flags, is_up);
            let (broker, api) = services.broker.unwrap();
            assert_eq!((broker.host(), api.as_deref()), ("flag", expected_api));
            assert_eq!(services.store, Some(None));
        }
    }
}
