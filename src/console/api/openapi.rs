//! The API's description (OpenAPI 3.1), generated from the types of requests and answers.

use actix_web::HttpResponse;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use super::answers::{Answers, ExportQuery, PartOf, Responses, Rows, SampleDocument, SampleValues};
use super::datasets::{DataSets, Preview, Reading};
use super::info::Info;
use super::list::Runs;
use super::neurons::{ActorsDocument, Weights, WeightsQuery};
use super::runs::{NewRun, Resumption};
use super::summary::{RunDocument, RunSummary};
use super::topologies::{
    Examples, Formatted, PlanRequest, Planned, SpecDocument, TopologyText, Validation,
};
use crate::console::door::COOKIE;
use crate::console::problem::Problem;
use crate::console::uploads::UploadedData;

/// Schema of a type, with those that it is made of put among the components.
type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// Operation: what one method of an address takes and gives.
struct Operation {
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    query: Option<SchemaOf>,
    request: Body,
    status: &'static str,
    answer: Body,
    /// Statuses of problems, beside those that every operation may have.
    problems: &'static [&'static str],
}

/// Content of a request or an answer.
enum Body {
    None,
    Json(SchemaOf),
    /// JSON that may be left out.
    Optional(SchemaOf),
    Other(&'static [&'static str]),
}

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Problems of every operation: no token, another host, a request that is none, too much, a service away.
const PROBLEMS: [&str; 7] = ["400", "401", "403", "414", "421", "500", "503"];

const fn get(path: &'static str, summary: &'static str, answer: Body) -> Operation {
    Operation {
        method: "get",
        path,
        summary,
        query: None,
        request: Body::None,
        status: "200",
        answer,
        problems: &["404", "409", "422"],
    }
}

const fn post(path: &'static str, summary: &'static str, request: Body, answer: Body) -> Operation {
    Operation {
        method: "post",
        request,
        problems: &["404", "409", "413", "415", "422", "507"],
        ..get(path, summary, answer)
    }
}

impl Operation {
    const fn accepted(self) -> Self {
        Self {
            status: "202",
            ..self
        }
    }

    const fn with_query(self, query: SchemaOf) -> Self {
        Self {
            query: Some(query),
            ..self
        }
    }
}

const BINARY: &[&str] = &["application/octet-stream"];

fn operations() -> Vec<Operation> {
    let delete = |path, summary| Operation {
        method: "delete",
        status: "204",
        ..get(path, summary, Body::None)
    };
    vec![
        get(
            "/info",
            "This console: version, targets, directories",
            Body::Json(of::<Info>),
        ),
        get(
            "/openapi.json",
            "This description",
            Body::Other(&["application/json"]),
        ),
        get("/datasets", "All data sets", Body::Json(of::<DataSets>)),
        get(
            "/datasets/{name}",
            "One data set",
            Body::Json(of::<UploadedData>),
        ),
        delete("/datasets/{name}", "Remove a data set that was uploaded"),
        get(
            "/datasets/{name}/preview",
            "Columns and first rows of a table",
            Body::Json(of::<Preview>),
        )
        .with_query(of::<Reading>),
        Operation {
            method: "put",
            request: Body::Other(BINARY),
            status: "201",
            problems: &["404", "409", "413", "422", "507"],
            ..get(
                "/datasets/{name}/files/{file}",
                "Upload a file",
                Body::Json(of::<UploadedData>),
            )
        },
        get(
            "/topologies",
            "Examples that come with the program",
            Body::Json(of::<Examples>),
        ),
        get(
            "/topologies/schema",
            "JSON Schema of a topology file",
            Body::Other(&["application/schema+json"]),
        ),
        post(
            "/topologies/validate",
            "Problems of a topology file",
            Body::Json(of::<TopologyText>),
            Body::Json(of::<Validation>),
        ),
        post(
            "/topologies/format",
            "The file of a specification",
            Body::Json(of::<SpecDocument>),
            Body::Json(of::<Formatted>),
        ),
        post(
            "/topologies/plan",
            "What a topology expands to",
            Body::Json(of::<PlanRequest>),
            Body::Json(of::<Planned>),
        ),
        get("/runs", "All runs", Body::Json(of::<Runs>)),
        post(
            "/runs",
            "Create a run, which then trains",
            Body::Json(of::<NewRun>),
            Body::Json(of::<RunSummary>),
        )
        .accepted(),
        get("/runs/{run}", "One run", Body::Json(of::<RunDocument>)),
        delete(
            "/runs/{run}",
            "Remove a run and everything that belongs to it",
        ),
        get(
            "/runs/{run}/topology",
            "Its topology file",
            Body::Other(&["application/yaml"]),
        ),
        get(
            "/runs/{run}/log",
            "Output of the command that trains it",
            Body::Other(&["text/plain"]),
        ),
        get(
            "/runs/{run}/events",
            "What happens to it, as server-sent events",
            Body::Other(&["text/event-stream"]),
        ),
        post(
            "/runs/{run}/stop",
            "Commit and stop",
            Body::None,
            Body::Json(of::<RunSummary>),
        )
        .accepted(),
        post(
            "/runs/{run}/resume",
            "Go on from the last commit",
            Body::Optional(of::<Resumption>),
            Body::Json(of::<RunSummary>),
        )
        .accepted(),
        get(
            "/runs/{run}/actors",
            "Its actors",
            Body::Json(of::<ActorsDocument>),
        ),
        post(
            "/runs/{run}/actors/{actor}/kill",
            "Kill an actor in a container",
            Body::None,
            Body::None,
        )
        .accepted(),
        get(
            "/runs/{run}/neurons",
            "Figures of all its neurons, a column a figure",
            Body::Json(of::<Map<String, Value>>),
        ),
        get(
            "/runs/{run}/layers/{layer}/neurons/{neuron}",
            "One neuron",
            Body::Json(of::<Map<String, Value>>),
        ),
        Operation {
            answer: Body::Other(&["application/json", "application/octet-stream", "image/png"]),
            ..get(
                "/runs/{run}/layers/{layer}/neurons/{neuron}/weights",
                "Weights of a neuron",
                Body::Json(of::<Weights>),
            )
            .with_query(of::<WeightsQuery>)
        },
        post(
            "/runs/{run}/evaluate",
            "Metrics of a part of its data",
            Body::Json(of::<PartOf>),
            Body::Json(of::<Map<String, Value>>),
        ),
        post(
            "/runs/{run}/predict",
            "Answers to rows",
            Body::Json(of::<Rows>),
            Body::Json(of::<Answers>),
        ),
        get(
            "/runs/{run}/samples/{index}",
            "A row of its data",
            Body::Json(of::<SampleDocument>),
        )
        .with_query(of::<PartOf>),
        post(
            "/runs/{run}/responses",
            "What each layer says of a row",
            Body::Json(of::<SampleValues>),
            Body::Json(of::<Responses>),
        ),
        get(
            "/runs/{run}/export",
            "Its weights as a file",
            Body::Other(BINARY),
        )
        .with_query(of::<ExportQuery>),
    ]
}

/// The description.
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12();
    let settings = settings.with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let problem = of::<Problem>(&mut generator);
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations() {
        let described = describe(&operation, &problem, &mut generator);
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = described;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Cuttlefish",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Runs of neural networks: create, watch, stop, ask, remove.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/api/v1"}],
        "security": [{"token": []}, {"cookie": []}],
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": format!("{COOKIE}_PORT")},
            },
        },
    })
}

fn describe(operation: &Operation, problem: &Schema, generator: &mut SchemaGenerator) -> Value {
    let mut parameters: Vec<Value> = operation
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| {
            let schema = match name {
                "index" => json!({"type": "integer", "minimum": 0}),
                _ => json!({"type": "string"}),
            };
            json!({"name": name, "in": "path", "required": true, "schema": schema})
        })
        .collect();
    if let Some(query) = operation.query {
        parameters.extend(query_parameters(query, generator));
    }
    if operation.path == "/runs" && operation.method == "post" {
        parameters.push(json!({
            "name": "Idempotency-Key",
            "in": "header",
            "schema": {"type": "string", "minLength": 1, "maxLength": 200},
        }));
    }
    let mut responses = Map::new();
    responses.insert(
        operation.status.to_owned(),
        match content(&operation.answer, generator) {
            Some(content) => json!({"description": "Done", "content": content}),
            None => json!({"description": "Done"}),
        },
    );
    for status in PROBLEMS.iter().chain(operation.problems) {
        let content = json!({"application/problem+json": {"schema": problem}});
        responses.insert(
            (*status).to_owned(),
            json!({"description": "A problem, in words", "content": content}),
        );
    }
    let mut described = json!({
        "summary": operation.summary,
        "operationId": operation_id(operation),
        "parameters": parameters,
        "responses": responses,
    });
    if let Some(content) = content(&operation.request, generator) {
        let required = !matches!(operation.request, Body::Optional(_));
        described["requestBody"] = json!({"required": required, "content": content});
    }
    described
}

/// `get_runs_run_neurons` of `GET /runs/{run}/neurons`.
fn operation_id(operation: &Operation) -> String {
    let words = operation.path.split(['/', '.', '{', '}']);
    let words = words.filter(|word| !word.is_empty());
    words.fold(operation.method.to_owned(), |id, word| {
        format!("{id}_{word}")
    })
}

fn content(body: &Body, generator: &mut SchemaGenerator) -> Option<Value> {
    match body {
        Body::None => None,
        Body::Json(schema) | Body::Optional(schema) => {
            Some(json!({"application/json": {"schema": schema(generator)}}))
        }
        Body::Other(kinds) => {
            let kinds = kinds.iter().map(|kind| ((*kind).to_owned(), json!({})));
            Some(Value::Object(kinds.collect()))
        }
    }
}

/// Each property of a query's type as a parameter.
fn query_parameters(query: SchemaOf, generator: &mut SchemaGenerator) -> Vec<Value> {
    let schema = query(generator).to_value();
    let name = schema["$ref"]
        .as_str()
        .and_then(|path| path.rsplit('/').next());
    let definition = name.and_then(|name| generator.definitions().get(name).cloned());
    let Some(Value::Object(properties)) =
        definition.and_then(|definition| definition.get("properties").cloned())
    else {
        return Vec::new();
    };
    properties
        .into_iter()
        .map(|(name, schema)| json!({"name": name, "in": "query", "schema": schema}))
        .collect()
}

/// The description as an answer.
pub async fn openapi() -> HttpResponse {
    HttpResponse::Ok().json(document())
}
