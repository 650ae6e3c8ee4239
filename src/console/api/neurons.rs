//! Actors and neurons of a run: as they are while it is trained, as the last commit has them otherwise.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Json, Path, Query, ServiceConfig};
use actix_web::{HttpResponse, http::header};
use cuttlefish_core::ids::Address;
use cuttlefish_core::topology::{Graph, Roster};
use futures_util::stream::{self, StreamExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::resource;
use crate::console::Console;
use crate::console::problem::Problem;
use crate::deploy::docker::DockerRun;
use crate::deploy::docker::desired::container_name;
use crate::deploy::{ActorState, TargetKind};
use crate::inspect::array::npy;
use crate::inspect::picture;
use crate::run::{Run, recorded_graph};

/// Actors that are asked at once.
const AT_ONCE: usize = 16;
/// The least age of figures that are asked for again.
const FRESH: Duration = Duration::from_millis(400);
/// The same, for each container that has to be asked: a run of many is asked less often.
const FRESH_PER_CONTAINER: Duration = Duration::from_millis(8);

/// Addresses of actors and neurons.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/runs/{run}/actors").route(web::get().to(actors)))
        .service(resource("/runs/{run}/actors/{actor}/kill").route(web::post().to(kill)))
        .service(resource("/runs/{run}/neurons").route(web::get().to(figures)))
        .service(
            resource("/runs/{run}/layers/{layer}/neurons/{neuron}").route(web::get().to(neuron)),
        )
        .service(
            resource("/runs/{run}/layers/{layer}/neurons/{neuron}/weights")
                .route(web::get().to(weights)),
        );
}

/// The actors of a run.
#[derive(JsonSchema, Serialize)]
pub struct ActorsDocument {
    actors: Vec<ActorState>,
}

async fn actors(
    console: Data<Console>,
    run: Path<String>,
) -> Result<Json<ActorsDocument>, Problem> {
    let actors = console
        .apart(async move |config| Ok(Run::open(&config, &run).await?.target().states().await?));
    Ok(Json(ActorsDocument {
        actors: actors.await?,
    }))
}

/// Kills the process of an actor's container, which Docker starts again.
async fn kill(
    console: Data<Console>,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (name, actor) = path.into_inner();
    console
        .apart(async move |config| {
            let run = Run::open(&config, &name).await?;
            if run.kind() != TargetKind::Docker {
                return Err(Problem::conflict(format_args!(
                    "run `{name}` is on target `{}`, and only actors in containers on Docker can be killed",
                    run.kind().word()
                )));
            }
            let states = run.target().states().await?;
            if !states.iter().any(|state| state.name == actor) {
                return Err(Problem::not_found(format_args!(
                    "run `{name}` has no actor `{actor}`"
                )));
            }
            let docker = DockerRun::open(run.dir().clone()).await?;
            let container = container_name(&name, &actor);
            let kill = async {
                docker.docker.may_kill_process(&container).await?;
                docker.docker.kill_process(&container).await
            };
            Ok(kill.await.map_err(crate::deploy::Error::from)?)
        })
        .await?;
    Ok(HttpResponse::Accepted().finish())
}

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

async fn figures(console: Data<Console>, run: Path<String>) -> Result<HttpResponse, Problem> {
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

/// What the units say, and the number of containers that were asked. Of one that does not answer its neurons have
/// the state `unreachable`. None where nobody answers: nobody is there yet, or any more.
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
    let answers: Vec<Option<Value>> = stream::iter(units.iter().map(|unit| ask(unit.name.clone())))
        .buffered(AT_ONCE)
        .collect()
        .await;
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
        let norm = |weights: &[f32]| {
            let squares: f64 = weights.iter().map(|&w| f64::from(w).powi(2)).sum();
            squares.sqrt()
        };
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

/// A neuron that is asked for: its layer, its index, and the actor that hosts it.
struct Place {
    layer: usize,
    index: usize,
    actor: String,
}

fn find(graph: &Graph, layer: &str, neuron: &str) -> Result<Place, Problem> {
    let position = graph.layers.iter().position(|one| one.name == layer);
    let position =
        position.ok_or_else(|| Problem::not_found(format_args!("there is no layer `{layer}`")))?;
    let layer = &graph.layers[position];
    let index = neuron.parse().ok().filter(|index| *index < layer.units);
    let index = index.ok_or_else(|| {
        Problem::not_found(format_args!(
            "layer `{}` has neurons 0 to {}, not `{neuron}`",
            layer.name,
            layer.units - 1
        ))
    })?;
    let unit = Address::Unit {
        layer: position,
        index: index / layer.neurons_per_unit,
    };
    Ok(Place {
        layer: position,
        index,
        actor: Roster::new(graph).actor(unit).name,
    })
}

async fn neuron(
    console: Data<Console>,
    path: Path<(String, String, String)>,
) -> Result<Json<Value>, Problem> {
    let (name, layer, neuron) = path.into_inner();
    let document = console.apart(async move |config| {
        let run = Run::open(&config, &name).await?;
        let record = run.target().record().await?;
        let graph = recorded_graph(&name, &record)?;
        let place = find(&graph, &layer, &neuron)?;
        let live = match run.target().inspection(&place.actor).await {
            Ok(inspection) => {
                let path = format!("/neurons/{}", place.index);
                inspection.get::<Value>(&path).await.ok()
            }
            Err(_) => None,
        };
        let mut document = match live {
            Some(mut document) => {
                document["live"] = json!(true);
                document
            }
            None => committed_neuron(&run, &place).await?,
        };
        document["actor"] = json!(place.actor);
        document["picture"] = json!(shape(&graph, &record.rows.image, &place));
        Ok(document)
    });
    Ok(Json(document.await?))
}

/// Height and width of the picture of a neuron's weights.
fn shape(graph: &Graph, image: &Option<(usize, usize)>, place: &Place) -> (usize, usize) {
    let unit = Address::Unit {
        layer: place.layer,
        index: 0,
    };
    let about = crate::inspect::About::new(graph, unit, *image, Instant::now());
    about.layers[place.layer].picture()
}

async fn committed_neuron(run: &Run, place: &Place) -> Result<Value, Problem> {
    let saved = run.saved().await?;
    let states = saved.states().await.map_err(crate::run::Error::from)?;
    let layer = &saved.graph.layers[place.layer];
    let (weights, others) = states[place.layer][place.index]
        .weights
        .split_at(layer.fan_in);
    let extreme = |pick: fn(f32, f32) -> f32| weights.iter().copied().reduce(pick);
    let squares: f64 = weights.iter().map(|&w| f64::from(w).powi(2)).sum();
    Ok(json!({
        "run": run.name(),
        "layer": layer.name,
        "neuron": place.index,
        "state": "committed",
        "tick": saved.progress().tick,
        "activation": saved.graph.activation_words(place.layer),
        "fan_in": layer.fan_in,
        "bias": others.first(),
        "weight_norm": squares.sqrt(),
        "weight_min": extreme(f32::min),
        "weight_max": extreme(f32::max),
        "last_batch": Value::Null,
        "live": false,
    }))
}

/// Form of weights in an answer.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum WeightsForm {
    #[default]
    Json,
    Npy,
    Png,
}

/// Form of the weights that are asked for.
#[derive(Deserialize, JsonSchema)]
pub struct WeightsQuery {
    #[serde(default)]
    format: WeightsForm,
}

/// Weights of a neuron.
#[derive(Deserialize, JsonSchema)]
pub struct Weights {
    weights: Vec<f32>,
    bias: f32,
}

async fn weights(
    console: Data<Console>,
    path: Path<(String, String, String)>,
    query: Query<WeightsQuery>,
) -> Result<HttpResponse, Problem> {
    let (name, layer, neuron) = path.into_inner();
    let file = format!("{name}-{layer}-{neuron}.npy");
    let (weights, shape) = console
        .apart(async move |config| {
            let run = Run::open(&config, &name).await?;
            let record = run.target().record().await?;
            let graph = recorded_graph(&name, &record)?;
            let place = find(&graph, &layer, &neuron)?;
            let live = match run.target().inspection(&place.actor).await {
                Ok(inspection) => {
                    let path = format!("/neurons/{}/weights", place.index);
                    inspection.get::<Weights>(&path).await.ok()
                }
                Err(_) => None,
            };
            let weights = match live {
                Some(weights) => weights,
                None => {
                    let saved = run.saved().await?;
                    let states = saved.states().await.map_err(crate::run::Error::from)?;
                    let state = &states[place.layer][place.index];
                    let fan_in = graph.layers[place.layer].fan_in;
                    let (weights, others) = state.weights.split_at(fan_in);
                    Weights {
                        weights: weights.to_vec(),
                        bias: others.first().copied().unwrap_or_default(),
                    }
                }
            };
            Ok((weights, shape(&graph, &record.rows.image, &place)))
        })
        .await?;
    let broken =
        |error: &dyn std::fmt::Display| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error);
    Ok(match query.format {
        WeightsForm::Json => {
            HttpResponse::Ok().json(json!({"weights": weights.weights, "bias": weights.bias}))
        }
        WeightsForm::Npy => HttpResponse::Ok()
            .content_type("application/octet-stream")
            .insert_header((
                header::CONTENT_DISPOSITION,
                format!("attachment; filename=\"{file}\""),
            ))
            .body(npy(&weights.weights, None).map_err(|error| broken(&error))?),
        WeightsForm::Png => HttpResponse::Ok()
            .content_type("image/png")
            .body(picture::heat_map(&weights.weights, shape).map_err(|error| broken(&error))?),
    })
}
