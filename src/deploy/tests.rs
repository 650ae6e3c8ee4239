//! Runs of the same name that are not the same run, and weights that were never written.

use cuttlefish_core::data::Feed;
use cuttlefish_core::layers::{NeuronLayer, dense};
use cuttlefish_core::math::Activation;
use tempfile::TempDir;

use super::docker::deployment::{BrokerPlace, StorePlace};
use super::*;
use crate::run::{Overrides, PreparedRun, RunRequest, TopologySource};
use crate::{Config, Data, Topology};

/// A workload, and the directory that a run of it would have.
fn prepared(directory: &TempDir) -> PreparedRun {
    let topology =
        Topology::new("digits", Data::digits()).layer(dense(10).activation(Activation::Softmax));
    let request = RunRequest {
        topology: TopologySource::Program(&topology),
        overrides: &Overrides::default(),
        target: TargetKind::Docker,
        overwrite: false,
    };
    let config = Config::in_directory(directory);
    crate::block_on(PreparedRun::from_topology(&request, &config)).unwrap()
}

fn on_docker(owner: &str, record: Record) -> Deployment {
    Deployment::Docker(Box::new(docker::Deployment::new(
        owner.to_owned(),
        "cuttlefish-neuron".to_owned(),
        BrokerPlace::Given { management: None },
        StorePlace::Companion,
        "cuttlefish".to_owned(),
        Feed::default(),
        record,
    )))
}

#[test]
fn a_run_that_was_replaced_by_one_of_its_name_is_there_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let PreparedRun { dir, workload, .. } = prepared(&directory);
    assert!(!Deployment::is_still(&dir, "us"), "never brought up");
    dir.create().unwrap();
    let local = Deployment::Local {
        version: DOCUMENT_VERSION,
    };
    dir.keep_document(&local).unwrap();
    assert!(!Deployment::is_still(&dir, "us"), "in one process");
    dir.keep_document(&on_docker("us", workload.record.clone()))
        .unwrap();
    assert!(Deployment::is_still(&dir, "us"));
    dir.keep_document(&on_docker("them", workload.record))
        .unwrap();
    assert!(!Deployment::is_still(&dir, "us"), "replaced");
}

#[test]
fn weights_that_were_never_written_are_asked_for_again() {
    let directory = tempfile::tempdir().unwrap();
    let PreparedRun { mut workload, .. } = prepared(&directory);
    assert!(!workload.awaits_weights("digits", false).unwrap());
    let refusal = workload.awaits_weights("digits", true).unwrap_err();
    assert!(
        refusal.to_string().contains("import them again"),
        "{refusal}"
    );
    workload.weights = Some(Vec::new());
    assert!(workload.awaits_weights("digits", false).unwrap());
    assert!(workload.awaits_weights("digits", true).unwrap());
}
