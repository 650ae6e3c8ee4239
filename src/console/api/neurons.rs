//! Actors and neurons of a run: as they are while it is trained, as the last commit has them otherwise.

use std::time::Instant;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path, Query, ServiceConfig};
use actix_web::{HttpResponse, http::header};
use cuttlefish_core::ids::Address;
use cuttlefish_core::topology::{Graph, Roster};
use cuttlefish_core::view::norm;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::figures;
use super::methods::{get, post, resource};
use crate::console::Console;
use crate::console::problem::Problem;
use crate::deploy::docker::DockerRun;
use crate::deploy::docker::desired::container_name;
use crate::deploy::{ActorState, TargetKind};
use crate::inspect::array::npy;
use crate::inspect::picture;
use crate::run::{Run, recorded_graph};

/// Addresses of actors and neurons.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/runs/{run}/actors", [get().to(actors)]))
        .service(resource(
            "/runs/{run}/actors/{actor}/kill",
            [post().to(kill)],
        ))
        .service(resource(
            "/runs/{run}/neurons",
            [get().to(figures::figures)],
        ))
        .service(resource(
            "/runs/{run}/layers/{layer}/neurons/{neuron}",
            [get().to(neuron)],
        ))
        .service(resource(
            "/runs/{run}/layers/{layer}/neurons/{neuron}/weights",
            [get().to(weights)],
        ));
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

/// Answer of the actor of a neuron at an address; None where it does not answer.
async fn ask<T: DeserializeOwned>(run: &Run, place: &Place, path: &str) -> Option<T> {
    let inspection = run.target().inspection(&place.actor).await.ok()?;
    inspection.get(path).await.ok()
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
        let live = ask::<Value>(&run, &place, &format!("/neurons/{}", place.index)).await;
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
    Ok(json!({
        "run": run.name(),
        "layer": layer.name,
        "neuron": place.index,
        "state": "committed",
        "tick": saved.progress().tick,
        "activation": saved.graph.activation_words(place.layer),
        "fan_in": layer.fan_in,
        "bias": others.first(),
        "weight_norm": norm(weights),
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
            let live =
                ask::<Weights>(&run, &place, &format!("/neurons/{}/weights", place.index)).await;
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
