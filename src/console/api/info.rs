//! This console.

use actix_web::web::{Data, Json};
use schemars::JsonSchema;
use serde::Serialize;

use crate::console::Console;
use crate::console::problem::Problem;
use crate::deploy::TargetKind;
use crate::deploy::docker::Docker;

/// This console.
#[derive(JsonSchema, Serialize)]
pub struct Info {
    version: &'static str,
    targets: Vec<TargetInfo>,
    runs_dir: String,
    data_dir: String,
}

#[derive(JsonSchema, Serialize)]
struct TargetInfo {
    target: &'static str,
    available: bool,
    problem: Option<String>,
}

/// Version, targets and directories.
pub async fn info(console: Data<Console>) -> Result<Json<Info>, Problem> {
    let docker = console
        .apart(async |_| Ok(Docker::connect().await.err().map(|error| error.to_string())))
        .await?;
    let targets = TargetKind::ALL.map(|kind| {
        let problem = match kind {
            TargetKind::Local => None,
            TargetKind::Docker => docker.clone(),
            TargetKind::Ecs if cfg!(feature = "ecs") => None,
            TargetKind::Ecs => Some("this program was built without `--features ecs`".to_owned()),
        };
        TargetInfo {
            target: kind.word(),
            available: problem.is_none(),
            problem,
        }
    });
    Ok(Json(Info {
        version: env!("CARGO_PKG_VERSION"),
        targets: targets.into(),
        runs_dir: console.config.runs_dir.display().to_string(),
        data_dir: console.config.data_dir.display().to_string(),
    }))
}
