//! `inspect` and `digest`: the numbers of a run at its last commit, and a neuron's as its container
//! shows them.

use std::ops::Range;

use cuttlefish_core::math::normalization::Normalizer;
use cuttlefish_core::network;
use cuttlefish_core::protocol::NeuronState;
use cuttlefish_core::topology::excerpt::Excerpt;
use cuttlefish_core::topology::{Graph, Layer};
use cuttlefish_core::view::norm;
use serde_json::{Map, Value, json};

use super::{Exit, Failure, print, print_json, tell};
use crate::config::Config;
use crate::deploy::TargetKind;
use crate::deploy::docker::DockerRun;
use crate::record::SavedRun;
use crate::report::table::align;
use crate::run::{Run, recorded_graph};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Shows the last commit. One neuron of a run in containers is asked itself, at its \
    own address, and shows how it is now; the last commit is shown when it does not answer.\n\n\
    Examples:\n  cuttlefish inspect digits\n  \
    cuttlefish inspect digits/hidden\n  cuttlefish inspect digits/hidden/3 --json"
)]
pub struct Args {
    /// RUN, RUN/LAYER or RUN/LAYER/INDEX
    what: String,
    /// Print one JSON document; for one neuron at the last commit with its weights
    #[arg(long)]
    json: bool,
    /// Show the last commit, also of a neuron that would answer
    #[arg(long)]
    committed: bool,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The same for the same weights, wherever they were trained.\n\n\
    Examples:\n  cuttlefish digest digits"
)]
pub struct DigestArgs {
    /// The run
    run: String,
}

pub async fn digest(args: &DigestArgs, config: &Config) -> Result<Exit, Failure> {
    let run = Run::open(config, &args.run).await?;
    print(&format!("{}\n", run.digest().await?))?;
    Ok(Exit::Ok)
}

pub async fn run(args: &Args, config: &Config) -> Result<Exit, Failure> {
    let mut parts = args.what.splitn(3, '/');
    let run = Run::open(config, parts.next().unwrap_or_default()).await?;
    let (layer, index) = (parts.next(), parts.next());
    let document = match (layer, index) {
        (Some(layer), Some(index)) if run.kind() == TargetKind::Docker && !args.committed => {
            match live(&run, layer, index).await? {
                Some(live) if args.json => live,
                Some(live) => flat(&live),
                None => show_committed(&run, Some(layer), Some(index), args.json).await?,
            }
        }
        _ => show_committed(&run, layer, index, args.json).await?,
    };
    if args.json {
        print_json(&document)?;
    } else {
        print(&human(&document))?;
    }
    Ok(Exit::Ok)
}

/// The state of a neuron as its container shows it; says how to ask for it again. None, after saying why,
/// when it does not answer.
async fn live(run: &Run, layer: &str, index: &str) -> Result<Option<Value>, Failure> {
    let docker = DockerRun::open(run.dir().clone()).await;
    let docker = docker.map_err(crate::run::Error::from)?;
    let graph = recorded_graph(run.name(), &docker.deployment.record)?;
    let layer = find_layer(&graph, layer)?;
    let index = find_neuron(&graph.layers[layer], index)?;
    let (actor, answer) = docker.live_neuron(&graph, layer, index).await;
    match answer {
        Ok(live) => {
            let token = live.token_file.display().to_string().replace('\'', r"'\''");
            let url = &live.url;
            tell(format_args!(
                "live; ask it again with\n  printf 'Authorization: Bearer %s' \"$(cat '{token}')\" | curl -H @- {url}"
            ));
            let mut document = live.document;
            document["url"] = json!(live.url);
            document["token_file"] = json!(live.token_file);
            Ok(Some(document))
        }
        Err(problem) => {
            tell(format_args!(
                "{actor} does not answer: {problem}\nthis is its last commit:"
            ));
            Ok(None)
        }
    }
}

/// A document without what is too long for people, and with what is inside others a level up.
fn flat(document: &Value) -> Value {
    let mut flat = Map::new();
    lift(document, "", &mut flat);
    Value::Object(flat)
}

fn lift(document: &Value, prefix: &str, flat: &mut Map<String, Value>) {
    for (key, value) in document.as_object().into_iter().flatten() {
        let key = format!("{prefix}{key}");
        match value {
            Value::Array(_) => {}
            Value::Object(_) if key == "counters" => lift(value, "", flat),
            Value::Object(_) => lift(value, &format!("{key}_"), flat),
            scalar => {
                flat.insert(key, scalar.clone());
            }
        }
    }
}

/// A run, a layer or a neuron at the last commit.
async fn show_committed(
    run: &Run,
    layer: Option<&str>,
    index: Option<&str>,
    with_weights: bool,
) -> Result<Value, Failure> {
    let saved = run.saved().await?;
    let layer = layer
        .map(|name| find_layer(&saved.graph, name))
        .transpose()?;
    let states = saved.states().await?;
    Ok(match (layer, index) {
        (None, _) => whole(run, &saved, &states),
        (Some(layer), None) => json!({
            "run": run.name(),
            "layer": saved.graph.layers[layer].name,
            "neurons": (0..states[layer].len())
                .map(|n| neuron(&saved.graph.layers[layer], &states[layer][n], n))
                .collect::<Vec<_>>(),
        }),
        (Some(layer), Some(index)) => {
            let index = find_neuron(&saved.graph.layers[layer], index)?;
            let (layer, state) = (&saved.graph.layers[layer], &states[layer][index]);
            let mut document = neuron(layer, state, index);
            let progress = saved.progress();
            document["run"] = json!(run.name());
            document["layer"] = json!(layer.name);
            document["tick"] = json!(progress.tick);
            document["generation"] = json!(saved.generation);
            if with_weights {
                document["weights"] = json!(state.weights[..layer.fan_in]);
            }
            document
        }
    })
}

fn find_layer(graph: &Graph, name: &str) -> Result<usize, Failure> {
    let layers = &graph.layers;
    layers.iter().position(|l| l.name == name).ok_or_else(|| {
        let one = |layer: usize| layers[layer].name.clone();
        let several = |between: Range<usize>| format!("... ({} more)", between.len());
        let names = Excerpt::of(layers.len()).rows(one, several);
        Failure::new(
            Exit::Usage,
            format_args!(
                "there is no layer `{name}` (the layers are {})",
                names.join(", ")
            ),
        )
    })
}

fn find_neuron(layer: &Layer, index: &str) -> Result<usize, Failure> {
    let number = index.parse().ok().filter(|&i| i < layer.units);
    number.ok_or_else(|| {
        Failure::new(
            Exit::Usage,
            format_args!(
                "layer `{}` has neurons 0 to {}, not `{index}`",
                layer.name,
                layer.units - 1
            ),
        )
    })
}

fn whole(run: &Run, saved: &SavedRun, states: &[Vec<NeuronState>]) -> Value {
    let layers =
        saved
            .graph
            .layers
            .iter()
            .zip(states)
            .enumerate()
            .map(|(index, (layer, states))| {
                let of_neuron = |state: &NeuronState| norm(&state.weights[..layer.fan_in]).powi(2);
                let squares: f64 = states.iter().map(of_neuron).sum();
                json!({
                    "name": layer.name,
                    "neurons": layer.units,
                    "fan_in": layer.fan_in,
                    "activation": saved.graph.activation_words(index),
                    "weight_norm": squares.sqrt(),
                })
            });
    let mut document = json!({
        "run": run.name(),
        "tick": saved.progress().tick,
        "generation": saved.generation,
        "parameters": saved.graph.parameters(),
        "weights_sha256": network::digest(states.iter().flatten()),
        "layers": layers.collect::<Vec<_>>(),
    });
    if let Some(augmentation) = saved.graph.training.augmentation {
        document["augmentation"] = json!(augmentation);
    }
    document
}

fn neuron(layer: &Layer, state: &NeuronState, index: usize) -> Value {
    let (weights, others) = state.weights.split_at(layer.fan_in);
    let extreme = |pick: fn(f32, f32) -> f32| weights.iter().copied().reduce(pick);
    let mut document = json!({
        "neuron": index,
        "bias": others[0],
        "weight_norm": norm(weights),
        "weight_min": extreme(f32::min),
        "weight_max": extreme(f32::max),
    });
    if let Some(normalizer) = Normalizer::read(&others[1..]) {
        document["gamma"] = json!(normalizer.gamma);
        document["beta"] = json!(normalizer.beta);
        document["moving_mean"] = json!(normalizer.moving_mean);
        document["moving_variance"] = json!(normalizer.moving_variance);
    }
    document
}

/// A document for people: its scalars a line each, then its list as a table.
fn human(document: &Value) -> String {
    let mut text = String::new();
    let mut table = String::new();
    let scalars = document.as_object().into_iter().flatten();
    let keys = scalars.filter(|(_, value)| !value.is_array());
    let width = keys.map(|(key, _)| key.len()).max().unwrap_or(0).max(15);
    for (key, value) in document.as_object().into_iter().flatten() {
        match value {
            Value::Array(rows) => {
                let keys = rows.first().and_then(Value::as_object);
                let header: Vec<String> = keys
                    .into_iter()
                    .flatten()
                    .map(|(key, _)| key.replace('_', " "))
                    .collect();
                let cells = |row: &Value| -> Vec<String> {
                    row.as_object()
                        .into_iter()
                        .flatten()
                        .map(|(_, v)| cell(v))
                        .collect()
                };
                let rows: Vec<Vec<String>> = std::iter::once(header)
                    .chain(rows.iter().map(cells))
                    .collect();
                table = align(&rows, 1);
            }
            value => {
                let key = key.replace('_', " ");
                text.push_str(&format!("{key:<width$} {}\n", cell(value)));
            }
        }
    }
    if !table.is_empty() && !text.is_empty() {
        text.push('\n');
    }
    text + &table
}

fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => {
            format!("{:.6}", number.as_f64().unwrap_or(0.0))
        }
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}
