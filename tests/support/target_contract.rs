//! The contract of a target, as [`cuttlefish::deploy::Target`] has it: a suite that every target passes.

use std::path::Path;
use std::time::{Duration, Instant};

use cuttlefish::config::Config;
use cuttlefish::deploy::{self, Actors, Error, Options, Target, TargetKind, Workload};
use cuttlefish::host::End;
use cuttlefish::monitor::Monitor;
use cuttlefish::record::SavedRun;
use cuttlefish::run::{Overrides, PreparedRun, RunRequest, TopologySource, bring_up};
use cuttlefish::run_dir::RunDir;
use cuttlefish::store::Store as _;
use cuttlefish_core::protocol::Verdict;

/// Far beyond what a run of this size takes on any target.
const PATIENCE: Duration = Duration::from_secs(300);

/// A network whose training is long enough to be stopped in the middle.
const FILE: &str = "
name: contract
seed: 7
data: {source: digits, validation_split: 0.1}
network:
  layers:
    - {type: dense, name: hidden, units: 12, activation: relu}
    - {type: dense, name: digit, units: 10, activation: softmax}
  loss: sparse_categorical_crossentropy
training: {epochs: 60, batch_size: 16}
";

/// Brings a run up, stops it, lets it end with the bits of one that was trained in this process, and takes it
/// down.
pub async fn check(config: &Config, options: impl Fn() -> Options) {
    std::fs::create_dir_all(&config.runs_dir).unwrap();
    let file = &config.runs_dir.join("contract.yaml");
    std::fs::write(file, FILE).unwrap();
    let digest = undisturbed_digest(config, file).await;
    let kind = options().kind();
    let overrides = Overrides {
        values: vec![format!("name=contract-{}", kind.word())],
        neurons_per_unit: Some(6),
    };
    let request = RunRequest {
        topology: TopologySource::File(file),
        overrides: &overrides,
        target: kind,
        overwrite: false,
    };
    let PreparedRun { dir, workload, .. } =
        PreparedRun::from_topology(&request, config).await.unwrap();
    let monitor = Monitor::silent();
    let create = || deploy::create(dir.clone(), options());

    let mut target = create().await.unwrap();
    assert_eq!(target.kind(), kind);
    is_not_up(&*target, &workload).await;
    dir.create().unwrap();
    let lock = dir.lock().unwrap();
    target.down(&lock, &monitor).await.unwrap();

    // Up, and once more: what is there and right stays.
    target.up(&workload, &monitor).await.unwrap();
    is_up(&dir, kind, &workload).await;
    let again = create().await.unwrap().up(&workload, &monitor).await;
    assert_eq!(again.unwrap().summary, "", "nothing is left to change");

    // Stopped, it has committed; up again, it goes on to the bits of an undisturbed run.
    assert_eq!(
        verdict_of(&*target, &workload, true).await,
        Verdict::Stopped
    );
    target.up(&workload, &monitor).await.unwrap();
    assert_eq!(
        verdict_of(&*target, &workload, false).await,
        Verdict::Completed
    );
    let store = target.store().await.unwrap();
    let saved = SavedRun::read_from(dir.name(), store).await.unwrap();
    assert_eq!(saved.digest().await.unwrap(), digest);
    assert_eq!(target.differences(&workload).await.unwrap(), [""; 0]);

    // Down, and once more.
    target.down(&lock, &monitor).await.unwrap();
    target.down(&lock, &monitor).await.unwrap();
    dir.remove(&lock).unwrap();
    is_not_up(&*create().await.unwrap(), &workload).await;
    let opened = deploy::open(dir).await.map(|_| ());
    assert!(matches!(opened, Err(Error::NotUp { .. })));
}

/// A run that was never brought up, or has been taken down, has nothing to be looked at.
async fn is_not_up(target: &dyn Target, workload: &Workload) {
    let is_not_up = |error: Error| assert!(matches!(error, Error::NotUp { .. }), "{error}");
    is_not_up(target.record().await.map(|_| ()).unwrap_err());
    is_not_up(target.differences(workload).await.map(|_| ()).unwrap_err());
    let session = target.session(&workload.graph).await;
    is_not_up(session.map(|_| ()).unwrap_err());
    is_not_up(target.actors().await.map(|_| ()).unwrap_err());
    is_not_up(target.store().await.map(|_| ()).unwrap_err());
    assert_eq!(target.worker().await, None);
}

/// Any process finds the run in its directory, with its record, its store and its actors.
async fn is_up(dir: &RunDir, kind: TargetKind, workload: &Workload) {
    let target = deploy::open(dir.clone()).await.unwrap();
    assert_eq!(target.kind(), kind);
    let record = target.record().await.unwrap();
    assert_eq!(record.topology, workload.record.topology);
    let stored = target.store().await.unwrap().get_record().await.unwrap();
    assert_eq!(stored, Some(workload.record.to_json().unwrap()));
    match (target.actors().await.unwrap(), kind) {
        (Actors::Process(_), TargetKind::Local) => {}
        (Actors::Containers(containers), TargetKind::Docker) => {
            assert_eq!(containers[0].observed.actor, "trainer");
        }
        (Actors::Services(status), TargetKind::Ecs) => assert_eq!(status.differences, [""; 0]),
        (actors, kind) => panic!("{kind:?} has {actors:?}"),
    }
}

/// Verdict of a training, which is asked to stop as soon as it has finished a tick if `is_stopped`.
async fn verdict_of(target: &dyn Target, workload: &Workload, is_stopped: bool) -> Verdict {
    let mut session = target.session(&workload.graph).await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    let mut is_asked = false;
    loop {
        let snapshot = session.look(0, Duration::from_millis(20)).await.unwrap();
        match snapshot.end {
            Some(End::Finished(outcome)) => return outcome.verdict,
            Some(end) => panic!("{end:?}"),
            None => assert!(Instant::now() < deadline, "{snapshot:?}"),
        }
        if is_stopped && snapshot.latest.is_some() && !std::mem::replace(&mut is_asked, true) {
            session.stop().await.unwrap();
        }
    }
}

/// The digest of the file trained in one process without a break.
async fn undisturbed_digest(config: &Config, file: &Path) -> String {
    let request = RunRequest {
        topology: TopologySource::File(file),
        overrides: &Overrides::default(),
        target: TargetKind::Local,
        overwrite: false,
    };
    let prepared = PreparedRun::from_topology(&request, config).await.unwrap();
    let monitor = Monitor::silent();
    let up = bring_up(prepared, Options::Local, &monitor).await.unwrap();
    let trained = up.train(&monitor).await.unwrap();
    up.run.down(&monitor).await.unwrap();
    trained.weights_sha256
}
