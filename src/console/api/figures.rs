//! Figures of all neurons of a run, a column a figure: asked for once, however many want them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use cuttlefish_core::ids::Address;
use cuttlefish_core::topology::{Graph, Roster};
use cuttlefish_core::view::norm;
use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::console::Console;
use crate::console::problem::Problem;
use crate::deploy::TargetKind;
use crate::run::{Run, recorded_graph};

/// Actors that are asked at once.
const AT_ONCE: usize = 16;
/// The least age of figures that are asked for again.
const FRESH: Duration = Duration::from_millis(400);
/// The same, for each container that has to be asked: a run of many is asked less often.
const FRESH_PER_CONTAINER: Duration = Duration::from_millis(8);
/// Time in which units have to answer, all of them together.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// Figures of all neurons of a run, by layer.
#[derive(Clone, Default)]
pub struct FigureCache {
    by_run: Arc<Mutex<HashMap<String, CachedFigures>>>,
}

/// Held while they are asked for.
type CachedFigures = Arc<Mutex<Option<Figures>>>;

/// Figures as they were asked for.
#[derive(Clone)]
struct Figures {
    at: Instant,
    fresh_for: Duration,
    document: Arc<Value>,
}

/// Runs whose figures are kept.
const MAX_CACHED: usize = 64;

/// Figures of all neurons of a run.
///
/// # Errors
/// When there is no such run, or its store cannot be read.
pub async fn figures(console: Data<Console>, run: Path<String>) -> Result<HttpResponse, Problem> {
    let run = run.into_inner();
    let place = {
        let mut by_run = console.figures.by_run.lock().await;
        if by_run.len() >= MAX_CACHED && !by_run.contains_key(&run) {
            by_run.clear();
        }
        by_run.entry(run.clone()).or_default().clone()
    };
    // Whoever comes while they are asked for waits for the same answer.
    let mut cached = place.lock().await;
    if let Some(figures) = cached.as_ref()
        && figures.at.elapsed() < figures.fresh_for
    {
        return Ok(HttpResponse::Ok().json(&*figures.document));
    }
    let (document, asked) = console
        .apart(async move |config| {
            let run = Run::open(&config, &run).await?;
            let record = run.target().record().await?;
            let graph = recorded_graph(run.name(), &record)?;
            let is_running = run.target().worker().await.is_some();
            let live = match is_running {
                true => live(&run, &graph).await,
                false => None,
            };
            match live {
                Some(live) => Ok(live),
                None => Ok((committed(&run).await?, 0)),
            }
        })
        .await?;
    let document = Arc::new(document);
    *cached = Some(Figures {
        at: Instant::now(),
        fresh_for: FRESH + FRESH_PER_CONTAINER * asked,
        document: document.clone(),
    });
    Ok(HttpResponse::Ok().json(&*document))
}

/// Columns of the figures of a layer.
const COLUMNS: [(&str, &[&str]); 5] = [
    ("weight_norm", &["weight_norm"]),
    ("bias", &["bias"]),
    ("activation_mean", &["activation_mean", "logit_mean"]),
    ("zeros_ratio", &["activation_zeros_ratio"]),
    ("delta_norm", &["delta_norm"]),
];

/// Figures that the units say, and the number of containers that were asked. Of one that does not answer its neurons have
/// the state `unreachable`. None where they do not answer: nobody is there yet, or any more, or they
/// compute for too long.
async fn live(run: &Run, graph: &Graph) -> Option<(Value, u32)> {
    let units: Vec<_> = Roster::new(graph)
        .actors()
        .filter(|actor| matches!(actor.address, Address::Unit { .. }))
        .collect();
    // Units of one process answer together.
    let asked = match run.kind() {
        TargetKind::Local => 0,
        _ => units.len() as u32,
    };
    let ask = async |name: String| -> Option<Value> {
        let inspection = run.target().inspection(&name).await.ok()?;
        inspection.get("/figures").await.ok()
    };
    let answers = stream::iter(units.iter().map(|unit| ask(unit.name.clone())))
        .buffered(AT_ONCE)
        .collect::<Vec<Option<Value>>>();
    let answers = tokio::time::timeout(ANSWERS_WITHIN, answers).await.ok()?;
    if answers.iter().all(Option::is_none) {
        return None;
    }
    let mut layers: Vec<Value> = graph
        .layers
        .iter()
        .map(|layer| json!({"name": layer.name, "neurons": layer.units}))
        .collect();
    let mut newest = None;
    for (index, layer) in layers.iter_mut().enumerate() {
        let of_layer = units.iter().zip(&answers).filter_map(|(unit, answer)| {
            let neurons = unit.neurons.filter(|neurons| neurons.layer == index)?;
            Some((neurons.count, answer.as_ref()))
        });
        let of_layer: Vec<(usize, Option<&Value>)> = of_layer.collect();
        let repeated = |value: &dyn Fn(Option<&Value>) -> Value| -> Vec<Value> {
            of_layer
                .iter()
                .flat_map(|(count, answer)| std::iter::repeat_n(value(*answer), *count))
                .collect()
        };
        layer["state"] = json!(repeated(&|answer| match answer {
            Some(answer) => answer["state"].clone(),
            None => json!("unreachable"),
        }));
        layer["tick"] = json!(repeated(&|answer| {
            answer.map_or(Value::Null, |answer| answer["tick"].clone())
        }));
        for (column, names) in COLUMNS {
            let values = of_layer.iter().flat_map(|(count, answer)| {
                let values = names
                    .iter()
                    .find_map(|name| answer.as_ref()?[name].as_array());
                match values {
                    Some(values) if values.len() == *count => values.clone(),
                    _ => vec![Value::Null; *count],
                }
            });
            layer[column] = json!(values.collect::<Vec<_>>());
        }
        let ticks = layer["tick"].as_array().into_iter().flatten();
        newest = newest.max(ticks.filter_map(Value::as_u64).max());
    }
    let document = json!({"tick": newest, "live": true, "layers": layers});
    Some((document, asked))
}

/// The neurons of the last commit.
async fn committed(run: &Run) -> Result<Value, Problem> {
    let saved = run.saved().await?;
    let states = saved.states().await.map_err(crate::run::Error::from)?;
    let tick = saved.progress().tick;
    let layers = saved.graph.layers.iter().zip(&states).map(|(layer, states)| {
        let nothing = vec![Value::Null; states.len()];
        json!({
            "name": layer.name,
            "neurons": layer.units,
            "state": vec!["committed"; states.len()],
            "tick": vec![tick.0; states.len()],
            "weight_norm": states.iter().map(|s| norm(&s.weights[..layer.fan_in])).collect::<Vec<_>>(),
            "bias": states.iter().map(|s| s.weights.get(layer.fan_in)).collect::<Vec<_>>(),
            "activation_mean": nothing,
            "zeros_ratio": nothing,
            "delta_norm": nothing,
        })
    });
    Ok(json!({"tick": tick, "live": false, "layers": layers.collect::<Vec<_>>()}))
}
