//! Requests to a store that fails: tried again, given up, and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use cuttlefish_core::ids::{Address, CommitPoint, Generation, NeuronRange};
use cuttlefish_core::machine::{StoreReply, StoreRequest};
use cuttlefish_core::protocol::{Ledger, NeuronState};
use cuttlefish_runtime::host::{End, Observer, Storekeeper};
use cuttlefish_runtime::store::{Error, Store, WriteReply};
use tokio::sync::mpsc;

const COMMIT: CommitPoint = CommitPoint {
    number: 1,
    tick: cuttlefish_core::ids::Tick(9),
};

/// A store that takes commits of one generation after it was asked often enough.
struct FailingStore {
    refusals: AtomicU64,
    can_recover: bool,
}

#[async_trait]
impl Store for FailingStore {
    async fn write_commit(
        &self,
        generation: Generation,
        _: NeuronRange,
        _: CommitPoint,
        _: &[NeuronState],
    ) -> Result<WriteReply, Error> {
        let less = |left: u64| left.checked_sub(1);
        let (order, table) = (Ordering::Relaxed, "sulking".to_owned());
        if self.refusals.fetch_update(order, order, less).is_ok() {
            return Err(if self.can_recover {
                let status = "CREATING".to_owned();
                let seconds = 1;
                Error::TableNotReady {
                    table,
                    status,
                    seconds,
                }
            } else {
                Error::NoTable { table }
            });
        }
        Ok(if generation == Generation(2) {
            WriteReply::Accepted
        } else {
            WriteReply::Refused {
                newest: Generation(2),
            }
        })
    }

    async fn begin_generation(&self) -> Result<(Generation, Option<Ledger>), Error> {
        Ok((Generation(2), None))
    }

    async fn write_ledger(&self, _: Generation, _: &Ledger) -> Result<WriteReply, Error> {
        unreachable!("nobody asks")
    }

    async fn read_ledger(&self) -> Result<Option<(Generation, Option<Ledger>)>, Error> {
        unreachable!("nobody asks")
    }

    async fn read_commit(&self, _: NeuronRange, _: CommitPoint) -> Result<Vec<NeuronState>, Error> {
        Ok(Vec::new())
    }

    async fn put_record(&self, _: &str) -> Result<(), Error> {
        unreachable!("nobody asks")
    }

    async fn get_record(&self) -> Result<Option<String>, Error> {
        unreachable!("nobody asks")
    }

    async fn remove_run(&self) -> Result<u64, Error> {
        unreachable!("nobody asks")
    }
}

/// A storekeeper on a store that refuses so often, and what is seen of it.
struct Fixture {
    observer: Arc<Observer>,
    storekeeper: Storekeeper,
}

impl Fixture {
    fn new(refusals: u64, can_recover: bool) -> Self {
        let observer = Arc::new(Observer::default());
        let store = Arc::new(FailingStore {
            refusals: AtomicU64::new(refusals),
            can_recover,
        });
        let runtime = tokio::runtime::Handle::current();
        Self {
            storekeeper: Storekeeper::new(store, runtime, observer.clone()),
            observer,
        }
    }

    /// Answer to a request; `None` once the storekeeper has given it up.
    async fn answer(&self, request: StoreRequest) -> Option<StoreReply> {
        let (sender, mut answers) = mpsc::unbounded_channel();
        let reply = Arc::new(move |answer| sender.send(answer).unwrap());
        let from = Address::Unit { layer: 0, index: 0 };
        self.storekeeper.perform(from, request, reply);
        answers.recv().await
    }

    /// Commits written, tries that failed.
    fn counted(&self) -> (u64, u64) {
        let snapshot = self.observer.snapshot(0);
        (snapshot.commits_written, snapshot.store_failures)
    }
}

fn write(generation: u64) -> StoreRequest {
    StoreRequest::WriteCommit {
        generation: Generation(generation),
        neurons: NEURONS,
        commit: COMMIT,
        states: Vec::new(),
    }
}

const NEURONS: NeuronRange = NeuronRange {
    layer: 0,
    first: 0,
    count: 1,
};

#[tokio::test]
async fn what_fails_and_then_succeeds_is_counted_as_both() {
    let fixture = Fixture::new(2, true);
    let answer = fixture.answer(write(2)).await;
    assert!(matches!(
        answer,
        Some(StoreReply::Committed { accepted: true, .. })
    ));
    assert_eq!(fixture.counted(), (1, 2));
    assert!(fixture.observer.ended().is_none());
}

#[tokio::test]
async fn what_cannot_succeed_is_not_tried_again() {
    let fixture = Fixture::new(u64::MAX, false);
    assert!(fixture.answer(write(2)).await.is_none());
    assert_eq!(fixture.counted(), (0, 1));
    assert!(matches!(
        fixture.observer.ended(),
        Some(End::StoreFailed(_))
    ));
}

#[tokio::test]
async fn only_what_is_in_the_store_is_a_written_commit() {
    let fixture = Fixture::new(0, true);
    let answer = fixture.answer(write(1)).await;
    assert!(matches!(
        answer,
        Some(StoreReply::Committed {
            accepted: false,
            ..
        })
    ));
    fixture.answer(StoreRequest::BeginGeneration).await.unwrap();
    let read = StoreRequest::ReadCommit {
        generation: Generation(2),
        neurons: NEURONS,
        commit: COMMIT,
    };
    fixture.answer(read).await.unwrap();
    assert_eq!(fixture.counted(), (0, 0));
}
