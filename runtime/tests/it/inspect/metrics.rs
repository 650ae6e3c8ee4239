//! Metrics, read as strictly as Prometheus does.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use cuttlefish_core::ids::Address;

use cuttlefish_runtime::host::Observer;
use cuttlefish_runtime::host::actor::ActorMailbox;
use cuttlefish_runtime::inspect::{About, Access};

use super::http::get;
use super::run::{self, HostedActor, RUN};

/// Every sample by its name with its labels.
struct Metrics {
    samples: BTreeMap<String, f64>,
    kinds: BTreeMap<String, String>,
}

impl Metrics {
    /// Asks a server, and checks what holds for every line of the format.
    fn of(server: SocketAddr) -> Self {
        let answer = get(server, "/metrics");
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.header("content-type"),
            Some("text/plain; version=0.0.4; charset=utf-8")
        );
        let (mut samples, mut kinds) = (BTreeMap::new(), BTreeMap::new());
        let mut helped = BTreeSet::new();
        let mut family = String::new();
        assert!(answer.text().ends_with('\n'));
        for line in answer.text().lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, text) = help.split_once(' ').unwrap();
                assert!(text.ends_with('.'), "{line}");
                assert!(helped.insert(name.to_owned()), "{line} comes twice");
                family = name.to_owned();
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert_eq!(name, family, "after its help");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                kinds.insert(name.to_owned(), kind.to_owned());
            } else {
                let (sample, value) = line.rsplit_once(' ').unwrap();
                let name = sample.split('{').next().unwrap();
                assert_eq!(name, family, "{line} stands with its family");
                assert!(kinds.contains_key(name), "{line}");
                let value: f64 = value.parse().unwrap();
                let known = samples.insert(sample.to_owned(), value);
                assert!(known.is_none(), "{line} comes twice");
            }
        }
        Self { samples, kinds }
    }

    #[track_caller]
    fn value(&self, sample: &str) -> f64 {
        let value = self.samples.get(sample);
        *value.unwrap_or_else(|| panic!("no {sample} in {:#?}", self.samples))
    }
}

#[test]
fn a_unit_measures_its_neurons_and_its_link() {
    let metrics = Metrics::of(RUN.unit(0, 1));
    let labels = "run=\"shapes\",layer=\"hidden\",actor=\"hidden.1\"";
    let value = |name: &str| metrics.value(&format!("cuttlefish_{name}{{{labels}}}"));
    assert_eq!(value("answered"), 1.0);
    assert_eq!(value("running"), 1.0);
    assert_eq!(value("generation"), 1.0);
    assert_eq!(value("tick"), RUN.outcome.ledger.commit.tick.0 as f64);
    assert_eq!(value("messages_sent_total"), 11.0);
    assert_eq!(value("sent_bytes_total"), 22.0);
    assert_eq!(value("messages_received_total"), 33.0);
    assert_eq!(value("received_bytes_total"), 44.0);
    assert_eq!(value("messages_refused_total"), 55.0);
    for dropped in ["foreign", "stale", "duplicate"] {
        assert_eq!(value(&format!("messages_{dropped}_total")), 0.0);
    }
    assert_eq!(value("broker_sessions_total"), 2.0);
    assert_eq!(value("broker_connected"), 1.0);
    for neuron in [2, 3] {
        let value = |name: &str| {
            metrics.value(&format!(
                "cuttlefish_{name}{{{labels},neuron=\"{neuron}\"}}"
            ))
        };
        let state = get(RUN.unit(0, 1), &format!("/neurons/{neuron}")).json();
        assert_eq!(Some(value("weight_norm")), state["weight_norm"].as_f64());
        let batch = &state["last_batch"];
        let mean = batch["activation"]["mean"].as_f64();
        assert_eq!(Some(value("activation_mean")), mean);
        let zeros = batch["activation"]["zeros_ratio"].as_f64();
        assert_eq!(Some(value("activation_zeros_ratio")), zeros);
        let norm = batch["delta"]["norm"].as_f64();
        assert_eq!(Some(value("delta_norm")), norm);
        assert_eq!(value("bias") as f32, state["bias"].as_f64().unwrap() as f32);
    }
    let private = metrics.value("cuttlefish_private_memory_bytes");
    assert!(private > 1e5 && private < metrics.value("process_resident_memory_bytes"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let started = metrics.value("process_start_time_seconds");
    assert!(started <= now.as_secs_f64() && started > now.as_secs_f64() - 86400.0);
    assert_eq!(metrics.kinds["cuttlefish_tick"], "gauge");
}

#[test]
fn the_sums_before_a_softmax_are_called_logits() {
    let metrics = Metrics::of(RUN.unit(1, 0));
    let labels = "run=\"shapes\",layer=\"shape\",actor=\"shape.0\",neuron=\"1\"";
    let state = get(RUN.unit(1, 0), "/neurons/1").json();
    let mean = state["last_batch"]["logit"]["mean"].as_f64();
    let value = metrics.value(&format!("cuttlefish_logit_mean{{{labels}}}"));
    assert_eq!(Some(value), mean);
    let activation = "cuttlefish_activation_mean{".to_owned();
    assert!(
        !metrics
            .samples
            .keys()
            .any(|sample| sample.starts_with(&activation))
    );
}

#[test]
fn the_trainer_measures_the_run() {
    let metrics = Metrics::of(RUN.server(Address::Trainer));
    let labels = "run=\"shapes\",layer=\"\",actor=\"trainer\"";
    let value = |name: &str| metrics.value(&format!("cuttlefish_{name}{{{labels}}}"));
    assert_eq!(value("trained_rows_total"), 4.0 * 32.0);
    // Five units and the trainer share this process.
    let commits = RUN.outcome.ledger.commit.number as f64;
    assert!(commits >= 1.0);
    assert_eq!(value("commits_written_total"), 6.0 * commits);
    assert_eq!(value("store_failures_total"), 0.0);
    assert_eq!(value("rewinds_total"), 0.0);
    let probability = |neuron: usize| {
        let labels = format!("{labels},neuron=\"{neuron}\"");
        metrics.value(&format!("cuttlefish_probability_mean{{{labels}}}"))
    };
    let sum: f64 = (0..3).map(probability).sum();
    assert!((sum - 1.0).abs() < 1e-6);
    // Test rows come behind the last epoch.
    assert_eq!(value("epoch"), 4.0);
    let progress = &RUN.outcome.ledger.progress;
    let part = |name: &str, part: &str| {
        metrics.value(&format!("cuttlefish_{name}{{{labels},part=\"{part}\"}}"))
    };
    let test = progress.test.as_ref().unwrap();
    assert_eq!(part("loss", "test"), test.loss);
    assert_eq!(Some(part("accuracy", "test")), test.accuracy);
    let last = progress.history.last().unwrap();
    assert_eq!(part("epoch_loss", "train"), last.train.loss);
    let validation = last.validation.as_ref().unwrap();
    assert_eq!(part("epoch_loss", "validation"), validation.loss);
    assert_eq!(
        Some(part("epoch_accuracy", "validation")),
        validation.accuracy
    );
    // Not connected to any broker: nothing is said about one.
    assert!(!metrics.kinds.contains_key("cuttlefish_broker_connected"));
}

#[test]
fn a_synapse_measures_how_far_it_is() {
    let metrics = Metrics::of(RUN.server(Address::Synapse(0)));
    let labels = "run=\"shapes\",layer=\"\",actor=\"synapse.hidden-shape\"";
    let tick = metrics.value(&format!("cuttlefish_tick{{{labels}}}"));
    assert_eq!(tick, RUN.outcome.ledger.commit.tick.0 as f64);
}

#[test]
fn every_actor_counts_what_it_asks_of_the_store() {
    let dataset = run::dataset();
    let graph = run::graph(&dataset);
    let observer = Arc::new(Observer::default());
    let address = Address::Unit { layer: 1, index: 0 };
    let subject = HostedActor {
        about: About::new(&graph, address, dataset.image, Instant::now()),
        mailbox: ActorMailbox::default(),
        observer: observer.clone(),
        link: None,
    };
    let server = run::serve(Arc::new(subject), Access::open());
    let labels = "run=\"shapes\",layer=\"shape\",actor=\"shape.0\"";
    let value = |name: &str| Metrics::of(server).value(&format!("cuttlefish_{name}{{{labels}}}"));
    for count in 0..3 {
        assert_eq!(value("commits_written_total"), f64::from(2 * count));
        assert_eq!(value("store_failures_total"), f64::from(count));
        observer.wrote_commit();
        observer.wrote_commit();
        observer.store_failed();
    }
    let metrics = Metrics::of(server);
    // Only the trainer learns.
    assert!(!metrics.kinds.contains_key("cuttlefish_trained_rows_total"));
}
