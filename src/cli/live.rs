//! A neuron of a run in containers, as it shows itself over HTTP.

use cuttlefish_core::ids::Address;
use cuttlefish_core::topology::Roster;
use serde_json::{Map, Value, json};

use super::inspect::{find_layer, find_neuron};
use super::{Failure, recorded_graph, tell};
use crate::orchestrator::Deployed;
use crate::runs::RunDir;

/// What neuron `index` of a layer says of itself and where to ask it; tells how to. None, after
/// saying why, when it does not answer.
pub async fn neuron(run: &RunDir, layer: &str, index: &str) -> Result<Option<Value>, Failure> {
    let deployed = Deployed::open(run.clone()).await?;
    let graph = recorded_graph(&deployed.deployment.record)?;
    let layer_index = find_layer(&graph, layer)?;
    let layer = &graph.layers[layer_index];
    let index = find_neuron(layer, index)?;
    let address = Address::Unit {
        layer: layer_index,
        index: index / layer.neurons_per_unit,
    };
    let actor = Roster::new(&graph).actor(address).name;
    let path = format!("/neurons/{index}");
    let asked = async {
        let inspection = deployed.inspect(&actor).await?;
        let document: Value = inspection.get(&path).await?;
        anyhow::Ok((document, format!("{}{path}", inspection.base())))
    };
    match asked.await {
        Ok((mut document, url)) => {
            let token = deployed.secrets.dir().join("token");
            let token = std::path::absolute(&token).unwrap_or(token);
            let quoted = token.display().to_string().replace('\'', r"'\''");
            tell(format_args!(
                "live; ask it again with\n  printf 'Authorization: Bearer %s' \"$(cat '{quoted}')\" | curl -H @- {url}"
            ));
            document["url"] = json!(url);
            document["token_file"] = json!(token);
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
pub fn flat(document: &Value) -> Value {
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
