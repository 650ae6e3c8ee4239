//! Tasks of sweeps: the queue in memory, held to the contract of all queues, and their claims in the store.

use std::cell::RefCell;

use cuttlefish_runtime::store::{Claim, DEFAULT_TABLE, DynamoStore, Holder, Store, embedded};
use cuttlefish_runtime::transport::tasks::{MemoryQueue, TaskBoard, TaskQueue, in_memory};

#[path = "../support/task_queue_contract.rs"]
mod contract;

use contract::TaskBackend;

use crate::store::block_on;

/// Queues in memory; workers' ends are of the last board.
#[derive(Default)]
struct Memory(RefCell<Option<MemoryQueue>>);

impl TaskBackend for Memory {
    async fn board(&self) -> Box<dyn TaskBoard> {
        let (board, queue) = in_memory();
        self.0.replace(Some(queue));
        Box::new(board)
    }

    async fn queue(&self) -> Box<dyn TaskQueue> {
        Box::new(self.0.borrow().clone().expect("a board"))
    }
}

#[test]
fn the_queue_in_memory_keeps_the_contract() {
    let backend = Memory::default();
    block_on(async {
        contract::tasks_go_to_workers_one_at_a_time(&backend).await;
        contract::a_lost_workers_task_goes_to_another(&backend).await;
        contract::a_kept_task_is_its_workers(&backend).await;
        contract::a_rejected_task_is_put_aside(&backend).await;
    });
}

#[test]
fn workers_end_with_the_board() {
    block_on(async {
        let (mut board, mut queue) = in_memory();
        board.publish(b"never begun").await.unwrap();
        drop(board);
        assert_eq!(queue.next().await.unwrap(), None);
    });
}

async fn sweep_store(home: &tempfile::TempDir) -> DynamoStore {
    let client = embedded::open(&home.path().join("store.db")).unwrap();
    let store = DynamoStore::new(client, DEFAULT_TABLE, "sweep").unwrap();
    store.ensure_table().await.unwrap();
    store
}

#[test]
fn a_task_is_one_workers_until_its_lease_ends_and_only_the_last_one_writes_its_result() {
    let home = tempfile::tempdir().unwrap();
    block_on(async {
        let store = sweep_store(&home).await;
        let claim = |worker, now, holder| {
            let store = store.clone();
            async move {
                store
                    .claim_task("1", worker, (now, now + 10), holder)
                    .await
                    .unwrap()
            }
        };
        let granted = |attempt, losses| Claim::Granted { attempt, losses };
        let unknown = Holder::Unknown;
        assert_eq!(claim("a", 100, unknown).await, granted(1, 1));
        assert_eq!(claim("b", 105, unknown).await, Claim::Held { until: 110 });
        assert!(store.renew_task("1", 1, 120, false).await.unwrap());
        assert_eq!(claim("b", 115, unknown).await, Claim::Held { until: 120 });
        // Its lease is over.
        assert_eq!(claim("b", 120, unknown).await, granted(2, 2));
        // Another worker than this one was lost, and then this one.
        let lost = |attempt| Holder::Lost { attempt };
        assert_eq!(claim("c", 121, lost(1)).await, Claim::Held { until: 130 });
        assert_eq!(claim("c", 121, lost(2)).await, granted(3, 3));
        assert!(!store.renew_task("1", 2, 500, false).await.unwrap());
        assert!(!store.give_task_back("1", 2).await.unwrap());
        // Given back it is free, and that is not held against it; nor is anything once it gets on.
        assert!(store.give_task_back("1", 3).await.unwrap());
        assert_eq!(claim("b", 122, unknown).await, granted(4, 3));
        assert!(store.renew_task("1", 4, 140, true).await.unwrap());
        assert_eq!(claim("c", 123, Holder::Gone).await, granted(5, 1));
        assert!(!store.finish_task("1", 4, "late").await.unwrap());
        assert!(store.finish_task("1", 5, "result").await.unwrap());
        assert!(
            store.finish_task("1", 5, "result").await.unwrap(),
            "a lost reply is asked for again"
        );
        assert!(!store.finish_task("1", 5, "another").await.unwrap());
        let result = "result".to_owned();
        assert_eq!(claim("d", 900, Holder::Gone).await, Claim::Done { result });
        let mut tasks = Vec::new();
        store
            .each_task(|task| tasks.push((task.task, task.attempt, task.worker)))
            .await
            .unwrap();
        assert_eq!(tasks, [("1".to_owned(), 5, "c".to_owned())]);
        store.remove_run().await.unwrap();
        assert_eq!(store.get_task("1").await.unwrap(), None);
    });
}

#[test]
fn a_rung_keeps_the_order_of_arrival_and_gives_each_task_the_same_again() {
    let home = tempfile::tempdir().unwrap();
    block_on(async {
        let store = sweep_store(&home).await;
        let report = |task: &'static str, entry: &'static str| {
            let store = store.clone();
            async move { store.report_to_rung("1", task, entry).await.unwrap() }
        };
        assert_eq!(report("a", "a 1").await, ["a 1"]);
        assert_eq!(report("b", "b 2").await, ["a 1", "b 2"]);
        assert_eq!(report("c", "c 3").await, ["a 1", "b 2", "c 3"]);
        // A task that is trained again reports again, and is judged as before.
        assert_eq!(report("b", "b 2").await, ["a 1", "b 2"]);
        assert_eq!(report("a", "a 9").await, ["a 1"]);
        assert_eq!(
            store.report_to_rung("2", "b", "b 2").await.unwrap(),
            ["b 2"]
        );
    });
}
