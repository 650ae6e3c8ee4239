//! Trains in a container a neuron on this machine's Docker, and asks one neuron about itself.

use cuttlefish::deploy::docker::{DockerRun, Services};
use cuttlefish::deploy::{Error, Options};
use cuttlefish::layers::{NeuronLayer, dense};
use cuttlefish::math::Activation;
use cuttlefish::monitor::{Monitor, RunEvent};
use cuttlefish::{Config, Data, Run, Topology, block_on};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let topology = Topology::new("living", Data::digits())
        .layer(dense(4).name("hidden").activation(Activation::Relu))
        .layer(dense(10).activation(Activation::Softmax));
    // The broker's image, where the official one cannot be pulled.
    let image = std::env::args().nth(1);
    let services = Services {
        broker_image: image.unwrap_or("rabbitmq:4-management".to_owned()),
        ..Services::default()
    };
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
        let neuron = DockerRun::open(run.dir().clone())
            .await?
            .inspect("hidden.3")
            .await?;
        let state: serde_json::Value = neuron
            .get("/neurons/3")
            .await
            .map_err(|e| Error::Unusable(e.to_string()))?;
        println!("neuron hidden/3: {state:#}");
        println!("weights sha256 {}", trained.weights_sha256);
        Ok(run.down(&monitor).await?)
    })
}
