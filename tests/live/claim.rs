//! Several that are not told which of several actors they are.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cuttlefish::transport::Link;
use cuttlefish::transport::amqp::claim::{Claim, candidates};
use cuttlefish::transport::amqp::connection::SMALL_FRAMES;
use cuttlefish::transport::amqp::{Broker, Session, Wiring};
use cuttlefish_core::ids::Address;
use futures_util::future::try_join_all;

use crate::support::{live, service};
use crate::transport::graph;

#[test]
fn a_group_is_the_first_part_of_names() {
    let graph = graph("groups");
    let hidden = [0, 1].map(|index| Address::Unit { layer: 0, index });
    assert_eq!(candidates(&graph, "hidden"), hidden);
    assert_eq!(candidates(&graph, "hidden.1"), hidden[1..]);
    assert_eq!(candidates(&graph, "synapse"), [Address::Synapse(0)]);
    assert_eq!(candidates(&graph, "trainer"), [Address::Trainer]);
    assert_eq!(candidates(&graph, "hid"), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_becomes_another_one_and_who_waits_becomes_the_one_that_is_missing() {
    let Some(_live) = live() else { return };
    let broker = Broker::parse(&service("CUTTLEFISH_BROKER"), None).unwrap();
    let graph = graph("claims");
    let wiring = Wiring::new(&graph);
    let connection = broker
        .connect("cf.claims test", SMALL_FRAMES)
        .await
        .unwrap();
    let all = candidates(&graph, "hidden");
    let claim = || Claim::make(&broker, &graph, &all, "hidden");
    // Before there are any queues: they are waited for.
    let both = try_join_all([claim(), claim()]);
    let wired = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        wiring.declare(&connection).await
    };
    let (both, wired) = tokio::join!(both, wired);
    wired.unwrap();
    let mut both = both.unwrap();
    let whom: BTreeSet<Address> = both.iter().map(|claim| claim.address).collect();
    assert_eq!(whom, all.iter().copied().collect());

    // A third one waits, also while a session takes over from a claim.
    let first = both.remove(0);
    let second = both.remove(0);
    let address = first.address;
    let mut third = std::pin::pin!(claim());
    let link = Arc::new(Link::default());
    let open = Session::open(&broker, &graph, address, &link, false);
    let session = tokio::select! {
        _ = &mut third => panic!("nobody was missing"),
        session = open => session.unwrap(),
    };
    tokio::select! {
        _ = &mut third => panic!("nobody was missing"),
        () = async {
            first.release().await;
            tokio::time::sleep(Duration::from_secs(2)).await;
        } => {}
    }
    assert!(session.place.is_ours_alone().await.unwrap());

    let missing = second.address;
    drop(second);
    let third = tokio::time::timeout(Duration::from_secs(20), third).await;
    assert_eq!(third.unwrap().unwrap().address, missing);
    wiring.remove(&connection).await.unwrap();
}
