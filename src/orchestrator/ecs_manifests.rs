//! A run on Amazon ECS as files that others apply, without this program: what `up` would ask of ECS and
//! of the store, and two scripts that do. Nothing is changed at AWS.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use cuttlefish_core::data::Dataset;
use cuttlefish_core::topology::graph::Graph;
use serde_json::Value;

use super::failed_to;
use super::on_ecs::{services, store_failed};
use super::up::{Told, go_on};
use crate::container;
use crate::data::prepared;
use crate::deploy::ecs::cost::{Cost, cost};
use crate::deploy::ecs::manifests::{
    self, APPLY, DEFINITIONS, README, REMOVE, RUN, Run, SERVICES, STORE, TEMPLATE, UNWIRE,
};
use crate::host::RunSnapshot;
use crate::runs::{EcsDeployment, on_ecs};
use crate::store::requests;

/// Everything that is in such a directory.
pub const NAMES: [&str; 10] = [
    README,
    APPLY.0,
    REMOVE.0,
    RUN,
    DEFINITIONS,
    SERVICES,
    UNWIRE,
    TEMPLATE,
    STORE,
    on_ecs::FILE,
];

/// Writes a directory with everything of a run that is not deployed yet. Returns what it will cost, and
/// the number of its services.
///
/// # Errors
/// Says what cannot be written, or cannot work.
pub async fn write(
    deployment: &EcsDeployment,
    graph: &Graph,
    dataset: &Dataset,
    dir: &Path,
    told: &dyn Told,
) -> anyhow::Result<(Cost, usize)> {
    let services = services(deployment, graph)?;
    let run = Run {
        name: &graph.name,
        owner: &deployment.owner,
        stack: &deployment.stack,
        region: &deployment.region,
        endpoint: deployment.endpoint.as_deref(),
    };
    let asked = manifests::requests(&run, &services, container::UNWIRE).await;
    let (manifests, unwire) = asked.map_err(failed_to)?;
    for one in &manifests {
        let file = format!("{}.json", one.name);
        write_json(&dir.join(DEFINITIONS).join(&file), &one.definition)?;
        write_json(&dir.join(SERVICES).join(&file), &one.service)?;
    }
    write_json(&dir.join(UNWIRE), &unwire)?;
    write_json(&dir.join(TEMPLATE), &manifests::template(&run, &manifests))?;
    write_json(&dir.join(on_ecs::FILE), &serde_json::to_value(deployment)?)?;
    go_on(told)?;
    write_store(deployment, &run, dataset, &dir.join(STORE)).await?;
    go_on(told)?;
    let settings = manifests::settings(&run, &manifests);
    write_text(&dir.join(RUN), &settings)?;
    for (name, script) in [APPLY, REMOVE] {
        let path = dir.join(name);
        write_text(&path, script)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    let readme = manifests::readme(&run, &services);
    write_text(&dir.join(README), &readme)?;
    Ok((cost(&services), services.len()))
}

/// Writes what the store is asked to keep: the run's record, what its trainer shows before it has begun,
/// and the parts of its data set in the order of their names, the last of which completes it.
async fn write_store(
    deployment: &EcsDeployment,
    run: &Run<'_>,
    dataset: &Dataset,
    dir: &Path,
) -> anyhow::Result<()> {
    let record = deployment.record.to_json().map_err(failed_to)?;
    let sha256 = &deployment.record.data_sha256;
    let rows = prepared::bytes(dataset, sha256)?;
    let table = &run.stack.table;
    let look = serde_json::to_string(&RunSnapshot::default())?;
    let puts = requests::of_run(table, run.name, (&record, &look), sha256, &rows).await;
    let puts = puts.map_err(store_failed)?;
    write_json(&dir.join("record.json"), &puts.record)?;
    write_json(&dir.join("look.json"), &puts.look)?;
    for (number, put) in puts.data.iter().enumerate() {
        write_json(&dir.join(format!("data.{number:06}.json")), put)?;
    }
    Ok(())
}

fn write_json(path: &Path, value: &Value) -> anyhow::Result<()> {
    write_text(path, &format!("{value:#}\n"))
}

fn write_text(path: &Path, text: &str) -> anyhow::Result<()> {
    let write = || {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        fs::write(path, text)
    };
    write().with_context(|| format!("failed to write `{}`", path.display()))
}
