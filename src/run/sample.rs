//! One sample: a row of a run's data, and what each layer says of it.

use cuttlefish_core::data::{Labels, Part, Task, Values};
use cuttlefish_core::math::{Inputs, Panels};
use cuttlefish_core::network::Network;
use ndarray::{ArrayView2, Axis};

use super::evaluate::part_name;
use super::predict::{Predictions, RowPlaces};
use super::prepare::dataset_of;
use super::{Error, Run};
use crate::config::Config;

/// A row of a run's data, encoded as in training.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Its values.
    pub values: Vec<f32>,
    /// Height, width and channels, where it is an image.
    pub image: Option<[usize; 3]>,
    /// The right answer: the name of a class, or a number.
    pub label: String,
    /// Rows of its part.
    pub rows: usize,
}

/// Response of a layer to a sample.
#[derive(Clone, Debug)]
pub struct LayerResponse {
    /// Name of the layer.
    pub name: String,
    /// `[neurons]`, or `[filters, height, width]`.
    pub shape: Vec<usize>,
    /// The values, neuron by neuron.
    pub activations: Vec<f32>,
}

/// Responses of a network to one sample.
#[derive(Clone, Debug)]
pub struct Responses {
    /// Of each layer, input side first.
    pub layers: Vec<LayerResponse>,
    /// The answer.
    pub answer: Predictions,
}

impl Run {
    /// A row of a part of the run's data.
    ///
    /// # Errors
    /// When the data cannot be read, or the part has no such row.
    pub async fn sample(&self, part: Part, index: usize, config: &Config) -> Result<Sample, Error> {
        let record = self.target.record().await?;
        let dataset = dataset_of(&record, config)?;
        let rows = match part {
            Part::Train => &dataset.split.train,
            Part::Validation => &dataset.split.validation,
            Part::Test => &dataset.split.test,
        };
        let Some(&row) = rows.get(index) else {
            return Err(Error::NoSample {
                run: self.name().to_owned(),
                part: part_name(part),
                rows: rows.len(),
                index,
            });
        };
        let row = row as usize;
        let places = row * dataset.features..(row + 1) * dataset.features;
        let values = match &dataset.values {
            Values::Bytes { bytes, scale } => bytes[places]
                .iter()
                .map(|&byte| f32::from(byte) * scale)
                .collect(),
            Values::Floats(values) => values[places].to_vec(),
        };
        let label = match (dataset.task.labels(), &dataset.task) {
            (Labels::Classes(labels), Task::Classification { class_names, .. }) => {
                class_names[labels[row] as usize].clone()
            }
            (Labels::Classes(labels), _) => labels[row].to_string(),
            (Labels::Values(targets), _) => targets[row].to_string(),
        };
        let image = dataset.image.and_then(|(height, width)| {
            let channels = dataset.features.checked_div(height * width)?;
            Some([height, width, channels])
        });
        Ok(Sample {
            values,
            image,
            label,
            rows: rows.len(),
        })
    }

    /// Responses of all layers to one sample, encoded as in training, with the weights of the last commit.
    ///
    /// # Errors
    /// When the sample has another number of features, or the store cannot be read.
    pub async fn responses(&self, values: &[f32]) -> Result<Responses, Error> {
        let saved = self.saved().await?;
        let features = saved.record.rows.features;
        if values.len() != features {
            return Err(Error::Features {
                run: self.name().to_owned(),
                features,
                found: values.len(),
            });
        }
        let network = Network::restore(&saved.graph, &saved.states().await?)
            .map_err(|problem| Error::Corrupt(problem.to_string()))?;
        let row = ArrayView2::from_shape((1, features), values)
            .map_err(|error| Error::Corrupt(error.to_string()))?;
        let responses = network.responses(&Inputs::new(Panels::pack_transposed(row)));
        let outputs = responses.last().map(|outputs| outputs.t().to_owned());
        let layers = saved.graph.layers.iter().zip(&responses);
        let layers = layers.map(|(layer, response)| LayerResponse {
            name: layer.name.clone(),
            shape: match layer.pooled_map() {
                Some(map) => vec![layer.units, map.height, map.width],
                None => vec![layer.units],
            },
            activations: response.index_axis(Axis(1), 0).to_vec(),
        });
        Ok(Responses {
            layers: layers.collect(),
            answer: Predictions {
                format: saved.record.rows.clone(),
                places: RowPlaces {
                    files: Vec::new(),
                    rows: vec![0],
                    lines: None,
                },
                outputs: outputs.unwrap_or_default(),
            },
        })
    }
}
