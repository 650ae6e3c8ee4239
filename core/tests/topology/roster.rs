//! The roster of a run: names, queues and who listens to them.

use std::collections::BTreeMap;

use cuttlefish_core::data::Feed;
use cuttlefish_core::ids::Address;
use cuttlefish_core::topology::names::layer_exchange;
use cuttlefish_core::topology::{ActorKind, Graph, Grouping, Roster};

use crate::{DIGITS, VALID, graph};

const TRAINER: Address = Address::Trainer;
const SYNAPSE: Address = Address::Synapse(0);

fn unit(layer: usize, index: usize) -> Address {
    Address::Unit { layer, index }
}

/// Eight units, then ten.
fn small() -> Graph {
    graph(VALID, &DIGITS, Grouping::Units(1))
}

#[test]
fn names_at_the_broker_sort_by_unit() {
    let graph = small();
    let roster = Roster::new(&graph);
    assert_eq!(roster[unit(0, 7)].queues.inbound, "cf.test.hidden.7.in");
    let out = roster[unit(1, 7)].queues.out.as_deref();
    assert_eq!(out, Some("cf.test.out.7.out"), "ten units need one digit");
    let mut wider = graph.clone();
    wider.layers[1].units = 11;
    let back = &Roster::new(&wider)[unit(1, 7)].queues.back;
    assert_eq!(back.as_deref(), Some("cf.test.out.07.back"));
    assert_eq!(layer_exchange("test", "hidden"), "cf.test.hidden");
    assert_eq!(
        roster[SYNAPSE].queues.inbound,
        "cf.test.synapse.hidden-out.in"
    );
}

#[test]
fn every_queue_has_one_listener() {
    let roster = Roster::new(&small());
    let mut listeners = BTreeMap::<&String, usize>::new();
    for queue in roster.actors().iter().flat_map(|actor| &actor.inbox) {
        *listeners.entry(queue).or_default() += 1;
    }
    let queues = roster.actors().iter().flat_map(|actor| actor.queues.iter());
    let expected: BTreeMap<&String, usize> = queues.map(|queue| (queue, 1)).collect();
    assert_eq!(listeners, expected);
    for actor in roster.actors() {
        assert_eq!(actor.inbox[0], actor.queues.inbound, "{}", actor.name);
    }
}

#[test]
fn everybody_is_found_at_its_address_and_nobody_elsewhere() {
    let roster = Roster::new(&small());
    for actor in roster.actors() {
        assert_eq!(roster[actor.address].name, actor.name);
        let is_member = actor.kind != ActorKind::Trainer;
        assert_eq!(roster.has_member(actor.address), is_member);
    }
    assert_eq!(roster.members().len() + 1, roster.actors().len());
    for nobody in [Address::Synapse(1), unit(0, 8), Address::Layer(0)] {
        assert!(roster.get(nobody).is_none() && !roster.has_member(nobody));
    }
}

#[test]
fn groups_are_the_trainer_the_synapses_and_each_layer() {
    let roster = Roster::new(&small());
    let groups = roster
        .groups()
        .map(|group| (group[0].kind, group[0].group.as_str(), group.len()));
    let expected = [
        (ActorKind::Trainer, "trainer", 1),
        (ActorKind::Synapse, "synapse", 1),
        (ActorKind::Unit, "hidden", 8),
        (ActorKind::Unit, "out", 10),
    ];
    assert_eq!(groups.collect::<Vec<_>>(), expected);
}

#[test]
fn the_trainer_and_where_it_is_not_fed_the_first_layer_read_the_data_set() {
    let roster = Roster::new(&small());
    let reads = |feed| {
        let actors = roster.actors().iter();
        let reading = actors.filter(move |actor| actor.reads_data(feed));
        reading.map(|actor| actor.address).collect::<Vec<_>>()
    };
    assert_eq!(reads(Feed::Broadcast), [TRAINER]);
    let first = (0..8).map(|index| unit(0, index));
    let expected: Vec<Address> = [TRAINER].into_iter().chain(first).collect();
    assert_eq!(reads(Feed::Reference), expected);
}

#[test]
fn a_fingerprint_changes_with_what_the_actor_computes_with_alone() {
    let graph = small();
    let roster = Roster::new(&graph);
    let changed = |change: fn(&mut Graph)| {
        let mut other = graph.clone();
        change(&mut other);
        let actors = [TRAINER, SYNAPSE, unit(0, 0), unit(0, 1), unit(1, 0)];
        let others = Roster::new(&other);
        let differs =
            |of: &Address| roster[*of].fingerprint(&graph) != others[*of].fingerprint(&other);
        actors.into_iter().filter(differs).collect::<Vec<_>>()
    };
    assert_eq!(changed(|graph| graph.training.epochs += 1), [TRAINER]);
    let of_hidden = [TRAINER, SYNAPSE, unit(0, 0), unit(0, 1)];
    assert_eq!(changed(|graph| graph.layers[0].dropout = 0.5), of_hidden);
    assert_eq!(
        changed(|graph| graph.layers[0].resources.memory *= 2),
        [],
        "memory is no part of the arithmetic"
    );
    let [first, second] = [0, 1].map(|index| roster[unit(0, index)].fingerprint(&graph));
    assert_ne!(first, second);
}
