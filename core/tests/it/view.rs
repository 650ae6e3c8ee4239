//! Views of machines.

use std::sync::Arc;
use std::time::Duration;

use cuttlefish_core::data::{BatchRef, Part};
use cuttlefish_core::ids::{Address, CommitPoint, Generation, Tick};
use cuttlefish_core::machine::{Effect, Input, Machine, StoreReply};
use cuttlefish_core::math::normalization::Normalizer;
use cuttlefish_core::math::{Activation, Inputs, Panels};
use cuttlefish_core::neuron::Unit;
use cuttlefish_core::protocol::{Envelope, Message, NeuronState, TickHeader, Work};
use cuttlefish_core::synapse::Synapse;
use cuttlefish_core::trainer::{Timing, Trainer};
use cuttlefish_core::view::{
    Dropped, Gathering, OutputFigures, Outputs, PendingCommit, SynapseView, TrainerPhase,
    TrainerView, UnitState, UnitView, View,
};
use ndarray::{Array2, array};

use crate::support::{Case, classifier, noise, normalize};

/// Three inputs, two hidden `relu` neurons, two outputs; 8 training rows in batches of 2.
fn case() -> Case {
    let mut graph = classifier(3, &[3, 2, 2]);
    graph.layers[0].activation = Activation::Relu;
    Case::new(graph, noise(3, 3, 2, [8, 0, 2]))
}

fn hears(machine: &mut dyn Machine, message: Message) -> Vec<Effect> {
    let generation = Generation(5);
    let envelope = Envelope {
        generation,
        message,
    };
    gets(machine, Input::Message(envelope))
}

fn gets(machine: &mut dyn Machine, input: Input) -> Vec<Effect> {
    let mut effects = Vec::new();
    machine.on(Duration::ZERO, input, &mut effects);
    effects
}

fn train(tick: u64) -> TickHeader {
    TickHeader {
        tick: Tick(tick),
        work: Work::Train {
            step: tick,
            learning_rate: 0.1,
        },
        batch: BatchRef {
            part: Part::Train,
            epoch: 1,
            index: tick as u32 - 1,
            rows: 2,
        },
        mark: None,
    }
}

/// Both hidden neurons in one unit, restored with weights that are easy to count with.
fn unit() -> Unit {
    let case = case().grouped(2);
    let mut unit = Unit::new(case.graph, case.batches, 0, 0);
    let number = CommitPoint {
        number: 4,
        tick: Tick(9),
    };
    hears(&mut unit, Message::Rewind(number));
    let neuron = |weights: [f32; 4]| NeuronState {
        weights: weights.to_vec(),
        moments: vec![0.0; 4],
    };
    gets(
        &mut unit,
        Input::Stored(StoreReply::Commit {
            generation: Generation(5),
            states: Ok(vec![
                neuron([1.0, -2.0, 2.0, 0.5]),
                neuron([0.0, 1.0, 0.0, -0.25]),
            ]),
        }),
    );
    unit
}

fn unit_view(unit: &Unit) -> UnitView {
    match unit.view() {
        View::Unit(view) => view,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_unit_without_weights_says_so() {
    let case = case();
    let mut unit = Unit::new(case.graph, case.batches, 0, 1);
    let blank = unit_view(&unit);
    assert_eq!(blank.state, UnitState::Blank);
    assert_eq!((blank.layer, blank.first, blank.tick), (0, 1, None));
    assert_eq!(blank.neurons, []);
    let commit = CommitPoint {
        number: 4,
        tick: Tick(9),
    };
    hears(&mut unit, Message::Rewind(commit));
    let restoring = unit_view(&unit);
    assert_eq!(restoring.state, UnitState::Restoring);
    assert_eq!(restoring.generation, Generation(5));
    assert_eq!(restoring.neurons, []);
}

#[test]
fn a_unit_shows_what_its_neurons_have_for_their_normalization() {
    let mut graph = (*case().graph).clone();
    normalize(&mut graph, 0);
    let case = Case::new(graph, noise(1, 3, 2, [2, 0, 0]));
    let mut unit = Unit::new(case.graph, case.batches, 0, 0);
    let initial = CommitPoint {
        number: 0,
        tick: Tick(0),
    };
    hears(&mut unit, Message::Rewind(initial));
    let normalizer = Normalizer {
        gamma: 1.0,
        beta: 0.0,
        moving_mean: 0.0,
        moving_variance: 1.0,
    };
    assert_eq!(unit_view(&unit).neurons[0].normalizer, Some(normalizer));
}

#[test]
fn a_unit_shows_the_weights_of_each_of_its_neurons() {
    let view = unit_view(&unit());
    assert_eq!(view.state, UnitState::Running);
    assert_eq!((view.generation, view.tick), (Generation(5), Some(Tick(9))));
    assert_eq!(view.neurons.len(), 2);
    let neuron = &view.neurons[0];
    assert_eq!(neuron.weights, [1.0, -2.0, 2.0]);
    assert_eq!((neuron.index, neuron.bias), (0, 0.5));
    assert_eq!((neuron.weight_min, neuron.weight_max), (-2.0, 2.0));
    assert_eq!(neuron.weight_norm, 3.0);
    assert_eq!(neuron.last_batch, None);
    let neuron = &view.neurons[1];
    assert_eq!(neuron.weights, [0.0, 1.0, 0.0]);
    assert_eq!((neuron.index, neuron.bias), (1, -0.25));
}

#[test]
fn a_unit_shows_its_last_training_batch_once_it_is_applied() {
    let mut unit = unit();
    // The rows (1, 0, 0) and (0, 1, 0).
    let rows = array![[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]];
    let inputs = Arc::new(Inputs::new(Panels::pack(rows.view())));
    let forward = |header| Message::Forward {
        header,
        inputs: Some(inputs.clone()),
    };
    hears(&mut unit, forward(train(10)));
    assert_eq!(unit_view(&unit).neurons[0].last_batch, None);
    hears(
        &mut unit,
        Message::Backward {
            tick: Tick(10),
            next: None,
            first: 0,
            errors: Arc::new(array![[4.0, 5.0], [6.0, 8.0]]),
        },
    );
    let view = unit_view(&unit);
    assert_eq!(view.tick, Some(Tick(10)));
    let batch = view.neurons[0].last_batch.as_ref().unwrap();
    assert_eq!(batch.tick, Tick(10));
    // 1 + 0.5; -2 + 0.5 is below zero.
    assert!(matches!(batch.outputs, Outputs::Activations { .. }));
    assert_eq!(batch.outputs.values(), [1.5, 0.0]);
    assert!(batch.outputs.values()[1].is_sign_positive());
    let figures = batch.outputs.figures();
    assert_eq!((figures.min, figures.max), (0.0, 1.5));
    assert_eq!((figures.mean, figures.zeros_ratio), (0.75, 0.5));
    assert_eq!((batch.delta.mean, batch.delta.norm), (2.0, 4.0));
    let batch = view.neurons[1].last_batch.as_ref().unwrap();
    assert_eq!(batch.outputs.values(), [0.0, 0.75]);
    assert_eq!((batch.delta.mean, batch.delta.norm), (4.0, 8.0));
    // Rows that are only looked at leave the training batch to be seen.
    let evaluate = TickHeader {
        work: Work::Evaluate,
        ..train(11)
    };
    hears(&mut unit, forward(evaluate));
    let view = unit_view(&unit);
    assert_eq!(view.tick, Some(Tick(11)));
    let batch = view.neurons[0].last_batch.as_ref().unwrap();
    assert_eq!(batch.tick, Tick(10));
}

#[test]
fn a_synapse_shows_who_is_missing() {
    let mut synapse = Synapse::new(case().graph, 0);
    let activation = |tick, first| Message::Activation {
        header: train(tick),
        first,
        values: Arc::new(Array2::ones((1, 2))),
    };
    let View::Synapse(view) = synapse.view() else {
        panic!("a synapse shows a synapse");
    };
    assert_eq!((view.generation, view.tick), (Generation(0), None));
    for (tick, first) in [(1, 0), (1, 1), (2, 1)] {
        hears(&mut synapse, activation(tick, first));
    }
    let contribution = Message::Contribution {
        tick: Tick(1),
        next: None,
        first: 0,
        deltas: Arc::new(Array2::ones((1, 2))),
        weights: Arc::new(Array2::ones((1, 2))),
    };
    hears(&mut synapse, contribution.clone());
    hears(&mut synapse, contribution);
    let gathering = |tick, missing| Gathering {
        tick: Tick(tick),
        missing,
        of: 2,
    };
    let expected = SynapseView {
        below: 0,
        generation: Generation(5),
        dropped: Dropped {
            duplicate: 1,
            ..Dropped::default()
        },
        tick: Some(Tick(2)),
        activations: vec![gathering(1, 0), gathering(2, 1)],
        contributions: vec![gathering(1, 1)],
    };
    assert_eq!(synapse.view(), View::Synapse(expected));
}

fn trainer_view(trainer: &Trainer) -> TrainerView {
    match trainer.view() {
        View::Trainer(view) => view,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_trainer_shows_where_it_stands() {
    let case = case();
    let task = case.dataset.task.clone();
    // Every tick is due to be a commit point.
    let timing = Timing {
        first_commit_interval: Duration::ZERO,
        ..Timing::default()
    };
    let mut trainer = Trainer::new(case.graph, case.batches, &task, timing);
    gets(&mut trainer, Input::Boot);
    let view = trainer_view(&trainer);
    assert_eq!(view.phase, TrainerPhase::Opening);
    assert_eq!((view.members, view.progress), (5, None));
    let opened = StoreReply::Generation {
        generation: Generation(5),
        ledger: None,
    };
    gets(&mut trainer, Input::Stored(opened));
    let members = [
        Address::Unit { layer: 0, index: 0 },
        Address::Unit { layer: 0, index: 1 },
        Address::Synapse(0),
        Address::Unit { layer: 1, index: 0 },
        Address::Unit { layer: 1, index: 1 },
    ];
    hears(&mut trainer, Message::Ready { from: members[0] });
    let view = trainer_view(&trainer);
    assert_eq!(view.phase, TrainerPhase::Gathering);
    assert_eq!((view.generation, view.missing), (Generation(5), 4));
    for from in members {
        hears(&mut trainer, Message::Ready { from });
    }
    let commit = CommitPoint {
        number: 1,
        tick: Tick(1),
    };
    hears(
        &mut trainer,
        Message::Committed {
            from: members[0],
            commit,
        },
    );
    let view = trainer_view(&trainer);
    assert_eq!((view.phase, view.missing), (TrainerPhase::Running, 0));
    assert_eq!(view.committed, Some(CommitPoint::default()));
    assert_eq!(
        view.pending,
        Some(PendingCommit {
            commit,
            written: 1,
            of: 4,
        })
    );
    let header = TickHeader {
        mark: Some(1),
        work: Work::Train {
            step: 1,
            learning_rate: 0.3,
        },
        ..train(1)
    };
    for first in [0, 1] {
        let values = Arc::new(Array2::zeros((1, 2)));
        let outputs = Message::Activation {
            header,
            first,
            values,
        };
        hears(&mut trainer, outputs);
    }
    let progress = trainer_view(&trainer).progress.unwrap();
    assert_eq!((progress.epoch, progress.part), (1, Part::Train));
    assert_eq!((progress.index, progress.step), (1, 1));
    assert_eq!(progress.tick, Tick(1));
    // Rows of zeros are answered with the same probability for both classes.
    let probabilities = trainer_view(&trainer).probabilities.unwrap();
    assert_eq!(probabilities.tick, Tick(1));
    let half = OutputFigures::new(&[0.5, 0.5]).unwrap();
    assert_eq!(probabilities.neurons, [half, half]);
}

#[test]
fn a_neuron_before_a_softmax_shows_its_logits_by_that_name() {
    let case = case();
    let mut unit = Unit::new(case.graph, case.batches, 1, 0);
    let commit = CommitPoint {
        number: 4,
        tick: Tick(9),
    };
    hears(&mut unit, Message::Rewind(commit));
    let state = NeuronState {
        weights: vec![2.0, 0.0, 5.0],
        moments: vec![0.0; 3],
    };
    let restored = StoreReply::Commit {
        generation: Generation(5),
        states: Ok(vec![state]),
    };
    gets(&mut unit, Input::Stored(restored));
    let rows = array![[1.0, -4.0], [0.0, 0.0]];
    let forward = Message::Forward {
        header: train(10),
        inputs: Some(Arc::new(Inputs::new(Panels::pack(rows.view())))),
    };
    hears(&mut unit, forward);
    let backward = Message::Backward {
        tick: Tick(10),
        next: None,
        first: 0,
        errors: Arc::new(array![[0.25, -0.25]]),
    };
    hears(&mut unit, backward);
    let view = unit_view(&unit);
    let batch = serde_json::to_value(view.neurons[0].last_batch.as_ref().unwrap()).unwrap();
    assert_eq!(batch["logits"], serde_json::json!([7.0, -3.0]));
    assert_eq!(batch["logit"]["mean"], 2.0);
    assert_eq!(
        (batch.get("activation"), batch.get("activations")),
        (None, None)
    );
}

#[test]
fn a_view_is_written_with_the_words_that_people_use() {
    let json = serde_json::to_value(unit().view()).unwrap();
    assert_eq!(json["unit"]["state"], "running");
    assert_eq!(json["unit"]["generation"], 5);
    assert_eq!(json["unit"]["neurons"][1]["bias"], -0.25);
}
