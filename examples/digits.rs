//! Trains handwritten digits in this process, and predicts one.

use cuttlefish::deploy::Options;
use cuttlefish::layers::{NeuronLayer, dense};
use cuttlefish::math::{Activation, Optimizer};
use cuttlefish::monitor::{Monitor, RunEvent};
use cuttlefish::{Config, Data, Run, Topology, block_on};
use ndarray::Array2;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let topology = Topology::new("digits", Data::digits())
        .layer(dense(32).activation(Activation::Relu))
        .layer(dense(10).activation(Activation::Softmax))
        .optimizer(Optimizer::Sgd {
            learning_rate: 0.05,
            momentum: 0.9,
            nesterov: false,
        });
    let runs = tempfile::tempdir()?;
    let config = Config::in_directory(&runs);
    let (monitor, _) = Monitor::new(|event| {
        if let RunEvent::EpochFinished { record, .. } = event {
            println!("epoch {}: loss {:.4}", record.epoch, record.train.loss);
        }
    });
    block_on(async {
        let (run, trained) = Run::train(&topology, Options::Local, &config, &monitor).await?;
        let test = trained.progress.test.ok_or("the data has test rows")?;
        println!("test: loss {:.4}, accuracy {:?}", test.loss, test.accuracy);

        // A vertical stroke, 8 x 8 pixels from 0 to 1.
        let stroke = |(_, pixel): (usize, usize)| f32::from(matches!(pixel % 8, 3 | 4));
        let answers = run
            .predict(Array2::from_shape_fn((1, 64), stroke).view())
            .await?;
        println!("probabilities {answers:.2}");
        Ok(())
    })
}
