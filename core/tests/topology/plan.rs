//! The expansion of a graph, against numbers worked out by hand.

use cuttlefish_core::data::Feed;
use cuttlefish_core::topology::traffic::TrafficKind;
use cuttlefish_core::topology::{DataShape, Graph, Grouping, Plan};

use crate::{DIGITS, VALID, graph};

fn small(grouping: Grouping) -> Graph {
    let text = format!("{VALID}training: {{epochs: 3, optimizer: {{type: adam}}}}\n");
    graph(&text, &DIGITS, grouping)
}

#[test]
fn a_plan_of_one_neuron_a_unit_adds_up() {
    let plan = Plan::new(&small(Grouping::Units(1)), &DIGITS, true, Feed::Reference);
    let hidden = &plan.layers[0];
    assert_eq!(
        (hidden.units, hidden.fan_in, hidden.parameters),
        (8, 64, 520)
    );
    assert_eq!(
        hidden.state_bytes,
        8 * 65 * 4 * 3,
        "weights and two moments"
    );
    assert_eq!((plan.totals.neurons, plan.totals.units), (18, 18));
    assert_eq!(plan.totals.parameters, 520 + 90);
    assert_eq!(plan.totals.store_items, 18);
    assert_eq!((plan.actors.synapses, plan.actors.units), (1, 18));
    let traffic: Vec<_> = plan
        .traffic
        .iter()
        .map(|t| (t.kind, t.deliveries, t.value_bytes))
        .collect();
    assert_eq!(
        traffic,
        [
            (TrafficKind::Activation, 8, 8 * 32 * 4),
            (TrafficKind::Backward, 8, 8 * 32 * 4),
            (TrafficKind::Forward, 10, 10 * 32 * 8 * 4),
            (TrafficKind::Activation, 10, 10 * 32 * 4),
            (TrafficKind::Backward, 10, 10 * 32 * 4),
            (TrafficKind::Contribution, 10, 10 * (32 + 8) * 4),
        ]
    );
    let total = &plan.per_tick;
    assert_eq!(total.deliveries, 56);
    let around = 8 * (72 + 80) + 10 * (72 + 72 + 80 + 84);
    assert_eq!(total.wire_bytes, total.value_bytes + around);
    let ticks = &plan.ticks;
    assert_eq!(
        (
            ticks.train_per_epoch,
            ticks.validation_per_epoch,
            ticks.test
        ),
        (41, 5, 12)
    );
    assert_eq!(ticks.total, 3 * 46 + 12);
    let broker = plan.broker.expect("a deployed run has a broker");
    assert_eq!(broker.exchanges.count, 3);
    assert_eq!(broker.queues.count, 2 + 2 * 18 + 10);
    assert_eq!(broker.bindings, 2 + 3 * 18 + 10);
}

#[test]
fn a_first_layer_that_is_fed_gets_the_batch_in_every_unit() {
    let plan = |value_bytes| {
        let shape = DataShape {
            value_bytes,
            ..DIGITS
        };
        let graph = small(Grouping::Units(1));
        let [fed, reading] =
            [Feed::Broadcast, Feed::Reference].map(|feed| Plan::new(&graph, &shape, true, feed));
        assert_eq!(
            fed.memory, reading.memory,
            "read or fed, it is the same batch"
        );
        assert_eq!(fed.traffic[1..], reading.traffic[..]);
        fed
    };
    let batches = 8 * 32 * 64;
    let forward = |plan: &Plan| (plan.traffic[0].value_bytes, plan.traffic[0].wire_bytes);
    assert_eq!(forward(&plan(1)), (batches, batches + 8 * (72 + 4)));
    assert_eq!(forward(&plan(4)), (4 * batches, 4 * batches + 8 * 72));
}

#[test]
fn a_unit_that_holds_a_whole_layer_sends_finished_errors() {
    let plan = Plan::new(
        &small(Grouping::WholeLayers),
        &DIGITS,
        false,
        Feed::Reference,
    );
    let last = plan.traffic.last().expect("there is traffic");
    assert_eq!(
        (last.kind, last.deliveries, last.value_bytes),
        (TrafficKind::Propagated, 1, 8 * 32 * 4)
    );
    assert_eq!(plan.broker, None);
}

#[test]
fn a_neuron_too_large_for_an_item_is_split() {
    let mut wide = small(Grouping::WholeLayers);
    wide.layers[0].fan_in = 100_000;
    let plan = Plan::new(&wide, &DIGITS, false, Feed::Reference);
    assert_eq!(
        plan.layers[0].store_items,
        8 * 3,
        "1.2 MB of state a neuron"
    );
}

#[test]
fn a_plan_is_a_readable_table() {
    let plan = Plan::new(&small(Grouping::FromFile), &DIGITS, true, Feed::Reference);
    assert_eq!(plan.to_string(), TABLE);
}

#[test]
fn a_plan_is_one_json_document() {
    let plan = Plan::new(&small(Grouping::FromFile), &DIGITS, true, Feed::Reference);
    let json = serde_json::to_value(&plan).expect("a plan is plain data");
    assert_eq!(json["layers"][1]["name"], "out");
    assert_eq!(json["traffic"][5]["kind"], "contribution");
    assert_eq!(json["feed"], "reference");
}

#[test]
fn a_plan_of_many_layers_shows_some_and_sums_up_the_others() {
    let text = VALID.replace(
        "    - {type: dense, name: hidden, units: 8, activation: relu}\n",
        "    - {repeat: 700, layers: [{type: dense, name: hidden, units: 8, activation: relu}]}\n",
    );
    let graph = graph(&text, &DIGITS, Grouping::Units(1));
    let plan = Plan::new(&graph, &DIGITS, true, Feed::Reference);
    let text = plan.to_string();
    let row = |start: &str| {
        let row = text
            .lines()
            .find(|line| line.trim_start().starts_with(start));
        let row = row.unwrap_or_else(|| panic!("no row `{start}` in\n{text}"));
        row.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        row("... 681 more"),
        "... 681 more 5,448 5,448 49,032 191.5 KiB 2 x 5,448"
    );
    assert_eq!(
        row("... of 681 more"),
        "... of 681 more 21,792 7.5 MiB 9.1 MiB"
    );
    assert_eq!(
        row("hidden-700 forward"),
        "hidden-700 forward 8 8.0 KiB 8.6 KiB"
    );
    assert_eq!(row("actors"), "actors trainer 1, synapses 700, units 5,610");
    assert!(text.contains("702 exchanges, for example"), "{text}");
    assert!(text.lines().count() < 250, "{} lines", text.lines().count());
    assert_eq!(plan.layers.len(), 701, "JSON has all of them");
}

/// Table of a plan, as a person sees it.
const TABLE: &str = "\
run test: 64 inputs, 18 neurons in 2 layers, 610 parameters

  layer   neurons  units  per unit  fan-in  parameters    state  store items
  hidden        8      8         1      64         520  6.1 KiB        2 x 8
  out          10     10         1       8          90  1.1 KiB       2 x 10
  total        18     18                           610  7.1 KiB       2 x 18

actors    trainer 1, synapses 1, units 18
ticks     150 in all: 3 epochs of 41 training and 5 validation ticks, and 12 test ticks
memory    7.1 KiB of state, 64.1 KiB in flight

one training tick of 32 rows, which hidden reads by itself

  messages           deliveries    values  on the wire
  hidden activation           8   1.0 KiB      1.6 KiB
  hidden backward             8   1.0 KiB      1.6 KiB
  out forward                10  10.0 KiB     10.7 KiB
  out activation             10   1.2 KiB      2.0 KiB
  out backward               10   1.2 KiB      2.0 KiB
  out contribution           10   1.6 KiB      2.4 KiB
  total                      56  16.1 KiB     20.3 KiB

broker    66 bindings

3 exchanges
  cf.test
  cf.test.hidden
  cf.test.out

48 queues, for example
  cf.test.trainer.in
  cf.test.hidden.0.in
  cf.test.hidden.7.out
  cf.test.synapse.hidden-out.in
  cf.test.out.0.in
  cf.test.out.9.out
  cf.test.out.9.back
";

#[test]
fn filters_over_steps_are_planned_by_their_steps() {
    let text = "\
name: test
data: {source: digits}
network:
  layers:
    - {type: conv1d, filters: 6, kernel_size: 5, padding: causal}
    - {type: max_pooling1d}
    - {type: conv1d, filters: 4, kernel_size: 3}
    - {type: flatten}
    - {type: dense, units: 10, activation: softmax}
  loss: sparse_categorical_crossentropy
";
    let plan = Plan::new(
        &graph(text, &DIGITS, Grouping::Units(1)),
        &DIGITS,
        true,
        Feed::Reference,
    );
    let parameters: Vec<usize> = plan.layers.iter().map(|layer| layer.parameters).collect();
    // 64 steps, 32 behind the pool, 30 behind the second kernel.
    assert_eq!(
        parameters,
        [6 * (5 + 1), 4 * (6 * 3 + 1), 10 * (4 * 30 + 1)]
    );
    let traffic = plan
        .traffic
        .iter()
        .map(|t| (t.kind, t.deliveries, t.value_bytes));
    let (values, rows) = (4, 32);
    assert_eq!(
        traffic.collect::<Vec<_>>(),
        [
            (TrafficKind::Activation, 6, 6 * 32 * rows * values),
            (TrafficKind::Backward, 6, 6 * 32 * rows * values),
            (TrafficKind::Forward, 4, 4 * (6 * 32) * rows * values),
            (TrafficKind::Activation, 4, 4 * 30 * rows * values),
            (TrafficKind::Backward, 4, 4 * 30 * rows * values),
            (
                TrafficKind::Contribution,
                4,
                4 * (30 * rows + 6 * 3) * values
            ),
            (TrafficKind::Forward, 10, 10 * (4 * 30) * rows * values),
            (TrafficKind::Activation, 10, 10 * rows * values),
            (TrafficKind::Backward, 10, 10 * rows * values),
            (TrafficKind::Contribution, 10, 10 * (rows + 4 * 30) * values),
        ]
    );
    assert_eq!(plan.memory.map_bytes, 4 * 4 * rows * (6 * 64 + 4 * 30));
}
