//! Topology files: examples, checks, and what they expand to.

use std::path::Path;

use actix_web::web::{Data, Json, ServiceConfig};
use actix_web::{HttpResponse, Responder};
use cuttlefish_core::topology;
use cuttlefish_core::topology::spec::Spec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::methods::{get, post, resource};
use super::runs::TargetName;
use crate::console::Console;
use crate::console::problem::{FileProblem, Problem, file_problems};
use crate::deploy::{TargetKind, yaml};
use crate::run::plan::plan;
use crate::run::{Overrides, TopologySource};

/// The examples that come with the program.
const EXAMPLES: [&str; 6] = [
    include_str!("../../../topology/digits.yaml"),
    include_str!("../../../topology/digits-steps.yaml"),
    include_str!("../../../topology/mnist.yaml"),
    include_str!("../../../topology/fashion-mnist.yaml"),
    include_str!("../../../topology/lenet5.yaml"),
    include_str!("../../../topology/cnn-fashion.yaml"),
];
const SCHEMA: &str = include_str!("../../../topology/topology.schema.json");

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/topologies", [get().to(list)]))
        .service(resource("/topologies/schema", [get().to(schema)]))
        .service(resource("/topologies/validate", [post().to(validate)]))
        .service(resource("/topologies/format", [post().to(format)]))
        .service(resource("/topologies/plan", [post().to(expand)]));
}

/// The examples.
#[derive(JsonSchema, Serialize)]
pub struct Examples {
    topologies: Vec<Example>,
}

#[derive(JsonSchema, Serialize)]
struct Example {
    name: String,
    description: String,
    topology: &'static str,
}

async fn list() -> Json<Examples> {
    let example = |text: &'static str| {
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
        let about = text
            .lines()
            .find(|line| line.starts_with("# ") && !line.contains("$schema"));
        Example {
            name: value("name: ").unwrap_or_default().to_owned(),
            description: about.map_or("", |line| &line[2..]).to_owned(),
            topology: text,
        }
    };
    Json(Examples {
        topologies: EXAMPLES.map(example).into(),
    })
}

async fn schema() -> impl Responder {
    HttpResponse::Ok()
        .content_type("application/schema+json")
        .body(SCHEMA)
}

/// A topology file that is asked about.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TopologyText {
    topology: String,
}

/// Problems of a topology file.
#[derive(JsonSchema, Serialize)]
pub struct Validation {
    valid: bool,
    problems: Vec<FileProblem>,
    #[schemars(with = "Option<Map<String, Value>>")]
    spec: Option<Spec>,
}

async fn validate(request: Json<TopologyText>) -> Json<Validation> {
    let parsed = topology::parse(&request.topology, &[]);
    Json(match parsed {
        Ok(document) => Validation {
            valid: true,
            problems: Vec::new(),
            spec: Some(document.spec().clone()),
        },
        Err(problems) => Validation {
            valid: false,
            problems: file_problems(&problems),
            spec: None,
        },
    })
}

/// A specification, as a form has made it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpecDocument {
    #[schemars(with = "Map<String, Value>")]
    spec: Value,
}

/// A topology file.
#[derive(JsonSchema, Serialize)]
pub struct Formatted {
    topology: String,
}

/// The text of a topology that a form has made, be it valid or not.
async fn format(request: Json<SpecDocument>) -> Result<Json<Formatted>, Problem> {
    if !request.spec.is_object() {
        return Err(Problem::unprocessable("`spec` has to be an object"));
    }
    let topology = yaml::to_string(&request.spec).map_err(Problem::unprocessable)?;
    Ok(Json(Formatted { topology }))
}

/// A topology file that is to be planned.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanRequest {
    topology: String,
    #[serde(default)]
    target: TargetName,
    neurons_per_unit: Option<u32>,
}

/// What a topology expands to.
#[derive(JsonSchema, Serialize)]
pub struct Planned {
    text: String,
    #[schemars(with = "Map<String, Value>")]
    plan: Value,
    changes: Option<Vec<String>>,
    obstacle: Option<String>,
}

async fn expand(
    console: Data<Console>,
    request: Json<PlanRequest>,
) -> Result<Json<Planned>, Problem> {
    let request = request.into_inner();
    let services = console.services.clone();
    let planned = console.computing(async move |config| {
        let overrides = Overrides {
            values: Vec::new(),
            neurons_per_unit: request.neurons_per_unit,
        };
        let target = request.target.kind();
        let path = Path::new("topology.yaml");
        let source = TopologySource::Text(path, &request.topology);
        let services = |is_up| services(is_up);
        let planned = plan(source, &overrides, target, services, &config).await?;
        // A local run of that name has to be replaced; one in containers becomes what the file says.
        let is_there = target == TargetKind::Local && planned.differences.is_some();
        let there = is_there.then(|| "a run of that name is there already".to_owned());
        Ok(Planned {
            text: planned.text(),
            plan: planned.document().map_err(Problem::unprocessable)?,
            changes: planned.differences,
            obstacle: planned.obstacle.or(planned.unknown).or(there),
        })
    });
    Ok(Json(planned.await?))
}
