//! The roster of a run: names, queues and who listens to them.

use std::collections::BTreeMap;

use cuttlefish_core::data::Feed;
use cuttlefish_core::ids::Address;
use cuttlefish_core::topology::names::layer_exchange;
use cuttlefish_core::topology::{Actor, Graph, Grouping, Roster};

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
    let queues = |address| Roster::new(&graph).actor(address).queues;
    assert_eq!(queues(unit(0, 7)).inbound, "cf.test.hidden.7.in");
    let out = queues(unit(1, 7)).out;
    assert_eq!(
        out.as_deref(),
        Some("cf.test.out.7.out"),
        "ten units need one digit"
    );
    let mut wider = graph.clone();
    wider.layers[1].units = 11;
    let back = Roster::new(&wider).actor(unit(1, 7)).queues.back;
    assert_eq!(back.as_deref(), Some("cf.test.out.07.back"));
    assert_eq!(layer_exchange("test", "hidden"), "cf.test.hidden");
    assert_eq!(queues(SYNAPSE).inbound, "cf.test.synapse.hidden-out.in");
}

#[test]
fn every_queue_has_one_listener() {
    let graph = small();
    let actors: Vec<Actor> = Roster::new(&graph).actors().collect();
    let mut listeners = BTreeMap::<&String, usize>::new();
    for queue in actors.iter().flat_map(|actor| &actor.inbox) {
        *listeners.entry(queue).or_default() += 1;
    }
    let queues = actors.iter().flat_map(|actor| actor.queues.iter());
    let expected: BTreeMap<&String, usize> = queues.map(|queue| (queue, 1)).collect();
    assert_eq!(listeners, expected);
    for actor in &actors {
        assert_eq!(actor.inbox[0], actor.queues.inbound, "{}", actor.name);
    }
}

#[test]
fn everybody_is_found_at_its_address_and_nobody_elsewhere() {
    let graph = small();
    let roster = Roster::new(&graph);
    for address in roster.addresses() {
        assert_eq!(
            roster.get(address).map(|actor| actor.address),
            Some(address)
        );
        assert_eq!(roster.has_member(address), address != TRAINER);
    }
    assert_eq!(roster.members().count(), roster.counts().members());
    assert_eq!(roster.addresses().count(), roster.counts().all());
    for nobody in [
        Address::Synapse(1),
        unit(0, 8),
        unit(2, 0),
        Address::Layer(0),
    ] {
        assert!(roster.get(nobody).is_none() && !roster.has_member(nobody));
    }
}

#[test]
fn the_last_unit_of_a_layer_hosts_what_is_left() {
    let graph = graph(VALID, &DIGITS, Grouping::Units(3));
    let roster = Roster::new(&graph);
    for (layer, of) in graph.layers.iter().enumerate() {
        let ranges = of.unit_ranges().enumerate();
        for (index, range) in ranges {
            let neurons = roster.actor(unit(layer, index)).neurons;
            assert_eq!(neurons.map(|neurons| neurons.indices()), Some(range));
        }
    }
}

#[test]
fn the_trainer_and_where_it_is_not_fed_the_first_layer_read_the_data_set() {
    let graph = small();
    let reads = |feed| {
        let actors = Roster::new(&graph).actors();
        let reading = actors.filter(|actor| actor.reads_data(feed));
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
        let differs = |of: &Address| {
            roster.actor(*of).fingerprint(&graph) != others.actor(*of).fingerprint(&other)
        };
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
    let [first, second] = [0, 1].map(|index| roster.actor(unit(0, index)).fingerprint(&graph));
    assert_ne!(first, second);
}
