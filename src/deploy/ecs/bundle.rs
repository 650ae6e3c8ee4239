//! A run on Amazon ECS as files that others apply, without this program: what `up` would ask of ECS and
//! of the store, and two scripts that do. Nothing is changed at AWS.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use aws_sdk_ecs::Client;
use aws_sdk_ecs::config::{BehaviorVersion, Credentials, Region};
use cuttlefish_core::data::Dataset;
use cuttlefish_core::topology::graph::Graph;
use serde_json::{Value, json};

use super::Deployment;
use super::api::Ecs;
use super::cost::{EcsCost, cost};
use super::desired::{Service, trainer_service};
use super::manifests::{
    self, APPLY, DEFINITIONS, Manifest, README, REMOVE, RUN, RunSite, SERVICES, STORE, TEMPLATE,
    UNWIRE,
};
use super::reconcile::ServiceAction;
use super::run::services;
use crate::container;
use crate::data::prepared;
use crate::deploy::Error;
use crate::host::RunSnapshot;
use crate::monitor::Monitor;
use crate::run_dir::ECS_DOCUMENT;
use crate::store::requests::{self, Request, Requests};

/// Writes a directory with everything of a run that is not deployed yet. Returns what it will cost, and
/// the number of its services.
///
/// # Errors
/// Says what cannot be written, or cannot work.
pub async fn write_bundle(
    deployment: &Deployment,
    graph: &Graph,
    dataset: &Dataset,
    dir: &Path,
    monitor: &Monitor,
) -> Result<(EcsCost, usize), Error> {
    let services = services(deployment, graph)?;
    let run = RunSite {
        name: &graph.name,
        owner: &deployment.owner,
        stack: &deployment.stack,
        region: &deployment.region,
        endpoint: deployment.endpoint.as_deref(),
    };
    let made = requests(&run, &services, container::UNWIRE).await;
    let (manifests, unwire) = made?;
    for one in &manifests {
        let file = format!("{}.json", one.name);
        write_json(&dir.join(DEFINITIONS).join(&file), &one.definition)?;
        write_json(&dir.join(SERVICES).join(&file), &one.service)?;
    }
    write_json(&dir.join(UNWIRE), &unwire)?;
    write_json(&dir.join(TEMPLATE), &manifests::template(&run, &manifests))?;
    let document = serde_json::to_value(deployment).unwrap_or_default();
    write_json(&dir.join(ECS_DOCUMENT), &document)?;
    monitor.check_cancelled()?;
    write_store(deployment, &run, dataset, &dir.join(STORE)).await?;
    monitor.check_cancelled()?;
    let settings = manifests::settings(&run, &manifests);
    write_text(&dir.join(RUN), &settings)?;
    for (name, script) in [APPLY, REMOVE] {
        let path = dir.join(name);
        write_text(&path, script)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
            .map_err(Error::file("write", &path))?;
    }
    let readme = manifests::readme(&run, &services);
    write_text(&dir.join(README), &readme)?;
    Ok((cost(&services), services.len()))
}

/// Writes what the store is asked to keep: the run's record, what its trainer shows before it has begun,
/// and the parts of its data set in the order of their names, the last of which completes it.
async fn write_store(
    deployment: &Deployment,
    run: &RunSite<'_>,
    dataset: &Dataset,
    dir: &Path,
) -> Result<(), Error> {
    let record = deployment.record.to_json()?;
    let sha256 = &deployment.record.data_sha256;
    let rows =
        prepared::bytes(dataset, sha256).map_err(Error::file("prepare the data set in", dir))?;
    let table = &run.stack.table;
    let snapshot = serde_json::to_string(&RunSnapshot::default()).unwrap_or_default();
    let puts = requests::of_run(table, run.name, (&record, &snapshot), sha256, &rows).await;
    let puts = puts?;
    write_json(&dir.join("record.json"), &puts.record)?;
    write_json(&dir.join("look.json"), &puts.snapshot)?;
    for (number, put) in puts.data.iter().enumerate() {
        write_json(&dir.join(format!("data.{number:06}.json")), put)?;
    }
    Ok(())
}

fn write_json(path: &Path, value: &Value) -> Result<(), Error> {
    write_text(path, &format!("{value:#}\n"))
}

fn write_text(path: &Path, text: &str) -> Result<(), Error> {
    let write = || {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        fs::write(path, text)
    };
    write().map_err(Error::file("write", path))
}

/// Requests to ECS that bring up these services, and one that has a task remove the queues with `unwire`.
///
/// # Errors
/// When a request cannot be made.
pub async fn requests(
    run: &RunSite<'_>,
    services: &[Service],
    unwire: &str,
) -> Result<(Vec<Manifest>, Value), super::Error> {
    let requests = Requests::default();
    let config = aws_sdk_ecs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(run.region.to_owned()))
        .credentials_provider(Credentials::new("local", "local", None, None, "requests"))
        .http_client(requests.http(answer))
        .endpoint_url("http://requests.invalid");
    let client = Client::from_conf(config.build());
    let ecs = Ecs::new(client, run.stack.clone(), run.name, run.owner);
    let mut manifests = Vec::new();
    for service in services {
        ecs.apply(&ServiceAction::Create(Box::new(service.clone())))
            .await?;
        manifests.push(Manifest {
            name: service.name.clone(),
            definition: only_request(&requests, "RegisterTaskDefinition")?,
            service: only_request(&requests, "CreateService")?,
        });
    }
    ecs.start_once(&trainer_service(run.name), unwire).await?;
    let mut unwire = only_request(&requests, "RunTask")?;
    if let Some(unwire) = unwire.as_object_mut() {
        // With the token of another time ECS would start nothing.
        unwire.remove("clientToken");
    }
    Ok((manifests, unwire))
}

fn only_request(requests: &Requests, operation: &str) -> Result<Value, super::Error> {
    let only = requests.take_only(operation);
    only.ok_or_else(|| super::Error::Request {
        what: format!("write down {operation}"),
        problem: "the SDK has not asked for it once (a defect of this program: please report it)"
            .to_owned(),
        is_transient: false,
    })
}

/// Answer of ECS, as far as it is read.
fn answer(request: &Request) -> Value {
    match request.operation.as_str() {
        // A family alone means its newest revision.
        "RegisterTaskDefinition" => {
            json!({"taskDefinition": {"taskDefinitionArn": request.body["family"]}})
        }
        "RunTask" => json!({"tasks": [{"taskArn": "task"}]}),
        _ => json!({}),
    }
}
