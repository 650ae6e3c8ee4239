//! Trains in a container a neuron on this machine's Docker, and asks one neuron about itself.

use cuttlefish::deploy::Options;
use cuttlefish::deploy::docker::{DockerOptions, DockerRun};
use cuttlefish::layers::{NeuronLayer, dense};
use cuttlefish::math::Activation;
use cuttlefish::monitor::{Monitor, RunEvent};
use cuttlefish::{Config, Data, Run, Topology, block_on};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let topology = Topology::new("living", Data::digits())
        .layer(dense(4).name("hidden").activation(Activation::Relu))
        .layer(dense(10).activation(Activation::Softmax));
    let mut services = DockerOptions::default();
    // Another broker's image, where the official one cannot be pulled.
    services.broker_image = std::env::args().nth(1).unwrap_or(services.broker_image);
    let runs = tempfile::tempdir()?;
    let config = Config::in_directory(&runs);
    let (monitor, _) = Monitor::new(|event| {
        if let RunEvent::Note(text) = event {
            println!("{text}");
        }
    });
    block_on(async {
        let options = Options::Docker(Box::new(services));
        let (run, trained) = Run::train(&topology, options, &config, &monitor).await?;
        let containers = DockerRun::open(run.dir().clone()).await?;
        let neuron = containers.inspect("hidden.3").await?;
        let state: serde_json::Value = neuron.get("/neurons/3").await?;
        println!("neuron hidden/3: {state:#}");
        println!("weights sha256 {}", trained.weights_sha256);
        Ok(run.down(&monitor).await?)
    })
}
