//! Starts a run from given weights, trains it on, and shows how far they went.

use cuttlefish::deploy::{Options, TargetKind};
use cuttlefish::layers::{NeuronLayer, dense};
use cuttlefish::math::Activation;
use cuttlefish::monitor::Monitor;
use cuttlefish::run::{Overrides, PreparedRun, RunRequest, TopologySource, bring_up};
use cuttlefish::{Config, Data, Run, Topology, block_on};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let layer = || dense(10).name("digit").activation(Activation::Softmax);
    let topology = |name: &str| Topology::new(name, Data::digits()).layer(layer()).epochs(5);
    let runs = tempfile::tempdir()?;
    let (config, monitor) = (Config::in_directory(&runs), Monitor::silent());
    block_on(async {
        let (first, _) = Run::train(&topology("first"), Options::Local, &config, &monitor).await?;
        let weights = first.weights().await?;

        let request = RunRequest {
            topology: TopologySource::Program(&topology("second")),
            overrides: &Overrides::default(),
            target: TargetKind::Local,
            overwrite: false,
        };
        let second = PreparedRun::from_topology(&request, &config)
            .await?
            .with_arrays(&weights)?;
        let second = bring_up(second, Options::Local, &monitor).await?;
        assert_eq!(second.run.weights().await?, weights);

        second.train(&monitor).await?;
        let moved = &second.run.weights().await?["digit/kernel"] - &weights["digit/kernel"];
        println!(
            "the kernel moved by {:.4}",
            moved.mapv(|w| w * w).sum().sqrt()
        );
        Ok(())
    })
}
