//! Single neurons: which are here, their state, and their weights.

use std::collections::BTreeMap;

use actix_web::http::header;
use actix_web::web;
use actix_web::{HttpRequest, HttpResponse};
use cuttlefish_core::ids::{Generation, Tick};
use cuttlefish_core::math::normalization::Normalizer;
use cuttlefish_core::view::{NeuronBatch, NeuronView, OutputFigures, UnitState, UnitView, View};
use serde::{Deserialize, Serialize};

use super::About;
use super::array::npy;
use super::figures::{LAST_BATCH, PARAMETERS};
use super::picture;
use super::problem::RequestProblem;
use super::routes::{Inspected, Inspection, WeightsFormat, query};
use crate::transport::{Link, LinkView};

#[derive(Serialize)]
struct NeuronsDocument<'a> {
    run: &'a str,
    actor: &'a str,
    layer: Option<&'a str>,
    neurons: Vec<usize>,
}

/// List of the neurons that are hosted here.
pub async fn list(inspection: Inspected) -> HttpResponse {
    let about = inspection.about();
    HttpResponse::Ok().json(NeuronsDocument {
        run: &about.run,
        actor: &about.name,
        layer: about.layer().map(|layer| &*layer.name),
        neurons: about.neurons.map_or(Vec::new(), |n| n.indices().collect()),
    })
}

/// Figures of all neurons here, a column a figure: short enough to be asked for all the time.
#[derive(Serialize)]
struct FiguresDocument<'a> {
    layer: &'a str,
    first: usize,
    neurons: usize,
    state: UnitState,
    tick: Option<Tick>,
    #[serde(flatten)]
    columns: BTreeMap<&'static str, Vec<Option<f64>>>,
}

/// Figures of all neurons that are hosted here; of none before the unit has weights.
///
/// # Errors
/// When this is no unit, or it does not answer.
pub async fn figures(inspection: Inspected) -> Result<HttpResponse, RequestProblem> {
    let about = inspection.about();
    let (Some(range), Some(layer)) = (about.neurons, about.layer()) else {
        return Err(RequestProblem::NotFound);
    };
    let View::Unit(unit) = inspection.view().await? else {
        return Err(RequestProblem::NotFound);
    };
    let figures = PARAMETERS.iter().chain(&LAST_BATCH);
    let columns = figures.map(|figure| {
        let values = unit.neurons.iter().map(figure.value);
        (figure.name, values.collect::<Vec<_>>())
    });
    Ok(HttpResponse::Ok().json(FiguresDocument {
        layer: &layer.name,
        first: range.first,
        neurons: range.count,
        state: unit.state,
        tick: unit.tick,
        columns: columns
            .filter(|(_, values)| values.iter().any(Option::is_some))
            .collect(),
    }))
}

/// A neuron's state. The numbers are missing before the unit has weights.
#[derive(Serialize)]
struct NeuronDocument<'a> {
    run: &'a str,
    layer: &'a str,
    neuron: usize,
    state: UnitState,
    generation: Generation,
    tick: Option<Tick>,
    activation: &'a str,
    /// Address of the probabilities that the trainer makes of logits.
    #[serde(skip_serializing_if = "Option::is_none")]
    probabilities: Option<&'static str>,
    fan_in: usize,
    bias: Option<f32>,
    #[serde(flatten)]
    normalizer: Option<Normalizer>,
    weight_norm: Option<f64>,
    weight_min: Option<f32>,
    weight_max: Option<f32>,
    last_batch: Option<&'a NeuronBatch>,
    counters: Option<LinkView>,
}

/// The neuron of an address, which may name an actor before it.
#[derive(Deserialize)]
pub struct NeuronPath {
    neuron: String,
}

fn find(unit: &UnitView, index: usize) -> Option<&NeuronView> {
    unit.neurons.iter().find(|neuron| neuron.index == index)
}

/// State of a neuron.
///
/// # Errors
/// When it is not hosted here, or the unit does not answer.
pub async fn state(
    inspection: Inspected,
    path: web::Path<NeuronPath>,
) -> Result<HttpResponse, RequestProblem> {
    let (unit, index) = unit_with(&inspection, &path.neuron).await?;
    let about = inspection.about();
    let layer = about.layer().ok_or(RequestProblem::NotFound)?;
    let neuron = find(&unit, index);
    Ok(HttpResponse::Ok().json(NeuronDocument {
        run: &about.run,
        layer: &layer.name,
        neuron: index,
        state: unit.state,
        generation: unit.generation,
        tick: unit.tick,
        activation: &layer.activation,
        probabilities: layer.has_logits.then_some("/probabilities of the trainer"),
        fan_in: layer.fan_in,
        bias: neuron.map(|n| n.bias),
        normalizer: neuron.and_then(|n| n.normalizer),
        weight_norm: neuron.map(|n| n.weight_norm),
        weight_min: neuron.map(|n| n.weight_min),
        weight_max: neuron.map(|n| n.weight_max),
        last_batch: neuron.and_then(|n| n.last_batch.as_ref()),
        counters: inspection.subject.link().map(Link::view),
    }))
}

#[derive(Serialize)]
struct WeightsDocument<'a> {
    weights: &'a [f32],
    bias: f32,
}

/// A neuron's weights, in one of three forms.
///
/// # Errors
/// When it is not hosted here, has no weights yet, or the unit does not answer.
pub async fn weights(
    inspection: Inspected,
    path: web::Path<NeuronPath>,
    request: HttpRequest,
) -> Result<HttpResponse, RequestProblem> {
    let format = query(&request)?.format;
    let (unit, index) = unit_with(&inspection, &path.neuron).await?;
    let layer = inspection.about().layer().ok_or(RequestProblem::NotFound)?;
    let neuron = find(&unit, index).ok_or(RequestProblem::NoWeights { state: unit.state })?;
    Ok(match format {
        WeightsFormat::Json => HttpResponse::Ok().json(WeightsDocument {
            weights: &neuron.weights,
            bias: neuron.bias,
        }),
        WeightsFormat::Npy => {
            let name = format!("{}-{}-{index}.npy", inspection.about().run, layer.name);
            array(&neuron.weights, layer.image, &name)?
        }
        WeightsFormat::Png => picture(&neuron.weights, layer.picture())?,
    })
}

#[derive(Serialize)]
struct MapDocument<'a> {
    tick: Tick,
    height: usize,
    width: usize,
    activations: &'a [f32],
}

/// The map that a filter has made of the first row of the last training batch, before its pool, in one
/// of three forms.
///
/// # Errors
/// When it is not hosted here or no filter, has not seen a batch, or the unit does not answer.
pub async fn map(
    inspection: Inspected,
    path: web::Path<NeuronPath>,
    request: HttpRequest,
) -> Result<HttpResponse, RequestProblem> {
    let format = query(&request)?.format;
    let (unit, index) = unit_with(&inspection, &path.neuron).await?;
    let layer = inspection.about().layer().ok_or(RequestProblem::NotFound)?;
    let (height, width) = layer.map.ok_or(RequestProblem::NotFound)?;
    let batch = find(&unit, index).and_then(|neuron| neuron.last_batch.as_ref());
    let batch = batch.ok_or(RequestProblem::NoBatch)?;
    Ok(match format {
        WeightsFormat::Json => HttpResponse::Ok().json(MapDocument {
            tick: batch.tick,
            height,
            width,
            activations: batch.outputs.values(),
        }),
        WeightsFormat::Npy => {
            let name = format!("{}-{}-{index}-map.npy", inspection.about().run, layer.name);
            array(batch.outputs.values(), layer.map, &name)?
        }
        WeightsFormat::Png => picture(batch.outputs.values(), (height, width))?,
    })
}

#[derive(Serialize)]
struct ProbabilitiesDocument<'a> {
    run: &'a str,
    layer: &'a str,
    activation: &'a str,
    tick: Tick,
    neurons: &'a [OutputFigures],
}

/// Probabilities of the last training batch, of each neuron of the last layer.
///
/// # Errors
/// When this is not the trainer, there was no batch yet, the last layer has none, or the trainer does
/// not answer.
pub async fn probabilities(inspection: Inspected) -> Result<HttpResponse, RequestProblem> {
    let about = inspection.about();
    let View::Trainer(trainer) = inspection.view().await? else {
        return Err(RequestProblem::NotTrainer {
            here: format!("`{}`", about.name),
        });
    };
    let layer = about.layers.last().filter(|layer| layer.has_logits);
    let layer = layer.ok_or(RequestProblem::NotFound)?;
    let batch = trainer.probabilities.ok_or(RequestProblem::NoBatch)?;
    Ok(HttpResponse::Ok().json(ProbabilitiesDocument {
        run: &about.run,
        layer: &layer.name,
        activation: &layer.activation,
        tick: batch.tick,
        neurons: &batch.neurons,
    }))
}

/// Numbers as a picture of a height and width.
fn picture(values: &[f32], shape: (usize, usize)) -> Result<HttpResponse, RequestProblem> {
    let picture = picture::heat_map(values, shape);
    let picture = picture.map_err(|error| RequestProblem::Encoding(error.to_string()))?;
    Ok(HttpResponse::Ok().content_type("image/png").body(picture))
}

/// Numbers as a NumPy file.
fn array(
    values: &[f32],
    shape: Option<(usize, usize)>,
    name: &str,
) -> Result<HttpResponse, RequestProblem> {
    let array = npy(values, shape).map_err(|error| RequestProblem::Encoding(error.to_string()))?;
    let disposition = format!("attachment; filename=\"{name}\"");
    Ok(HttpResponse::Ok()
        .content_type("application/octet-stream")
        .insert_header((header::CONTENT_DISPOSITION, disposition))
        .body(array))
}

/// The unit with a neuron that is hosted here, and the neuron's index.
async fn unit_with(
    inspection: &Inspection,
    neuron: &str,
) -> Result<(UnitView, usize), RequestProblem> {
    let hosted = inspection.about().neurons.map(|neurons| neurons.indices());
    let index = neuron.parse().ok();
    let index = index.filter(|index| hosted.is_some_and(|hosted| hosted.contains(index)));
    let index = index.ok_or_else(|| RequestProblem::NotHosted {
        neuron: neuron.to_owned(),
        here: identity(inspection.about()),
    })?;
    match inspection.view().await? {
        View::Unit(unit) => Ok((unit, index)),
        _ => Err(RequestProblem::NotFound),
    }
}

/// Description of this unit, for those who came to the wrong one.
fn identity(about: &About) -> String {
    match (about.neurons, about.layer()) {
        (Some(neurons), Some(layer)) if neurons.count == 1 => {
            format!("neuron {} of layer `{}`", neurons.first, layer.name)
        }
        (Some(neurons), Some(layer)) => format!(
            "unit `{}` with neurons {} to {} of layer `{}`",
            about.name,
            neurons.first,
            neurons.first + neurons.count - 1,
            layer.name
        ),
        _ => format!("`{}`, which hosts no neurons", about.name),
    }
}
