//! Sweeps over a real broker: the queue's contract, workers that are killed, a server that is killed, and the
//! same table as in one process.

use std::fs;
use std::net::TcpListener;
use std::process::Child;
use std::time::{Duration, Instant};

use cuttlefish::transport::amqp::Broker;
use cuttlefish::transport::amqp::management::Management;
use cuttlefish::transport::amqp::tasks::{AmqpBoard, AmqpQueue, DEAD_TASKS, TASKS};
use cuttlefish::transport::tasks::{TaskBoard, TaskQueue};
use serde_json::Value;

#[path = "../../runtime/tests/support/task_queue_contract.rs"]
mod contract;

use contract::TaskBackend;

use crate::support::{Live, live_without_containers, service, wait_until};

/// A process that ends with the test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn broker() -> Broker {
    Broker::parse(&service("CUTTLEFISH_BROKER"), None).expect("an address")
}

/// Removes the queues of tasks and what is in them.
async fn remove_queues() {
    let connection = broker()
        .connect("removes queues", 8192)
        .await
        .expect("a connection");
    let client = connection.into_client();
    let channel = client.create_channel().await.expect("a channel");
    for queue in [TASKS, DEAD_TASKS, "cf.sweep.contract"] {
        let removed = channel.queue_delete(queue.into(), Default::default()).await;
        removed.expect("a queue that is not there is removed too");
    }
}

struct Amqp;

impl TaskBackend for Amqp {
    async fn board(&self) -> Box<dyn TaskBoard> {
        remove_queues().await;
        Box::new(
            AmqpBoard::connect(&broker(), "contract")
                .await
                .expect("a board"),
        )
    }

    async fn queue(&self) -> Box<dyn TaskQueue> {
        Box::new(
            AmqpQueue::connect(&broker(), "contract")
                .await
                .expect("a queue"),
        )
    }
}

#[test]
fn the_queue_of_a_broker_keeps_the_contract() {
    let Some(_live) = live_without_containers() else {
        return;
    };
    cuttlefish::block_on(async {
        contract::tasks_go_to_workers_one_at_a_time(&Amqp).await;
        contract::a_lost_workers_task_goes_to_another(&Amqp).await;
        contract::a_kept_task_is_its_workers(&Amqp).await;
        contract::a_rejected_task_is_put_aside(&Amqp).await;
        // A second server of the same sweep is refused.
        let board = AmqpBoard::connect(&broker(), "contract")
            .await
            .expect("a board");
        assert!(AmqpBoard::connect(&broker(), "contract").await.is_err());
        board.close().await.expect("the broker is there");
        remove_queues().await;
    });
}

/// A sweep of trials that take some 100 ms each.
fn file(live: &Live, name: &str, n_trials: u32) -> String {
    let text = format!(
        "name: {name}\nseed: 3\ndata: {{source: digits, validation_split: 0.2}}\nnetwork:\n  layers:\n  - {{type: \
         dense, name: hidden, units: 16, activation: relu}}\n  - {{type: dense, name: digit, units: 10, activation: \
         softmax}}\n  loss: sparse_categorical_crossentropy\ntraining:\n  epochs: 40\n  optimizer: {{type: sgd, learning_rate: 0.01}}\nsweep:\n  max_trials: \
         {n_trials}\n  parameters:\n    training.optimizer.learning_rate: {{space: loguniform, lower: 0.003, \
         upper: 0.3}}\n    network.layers[hidden].units: {{space: choice, categories: [8, 16, 24]}}\n"
    );
    let path = live.path(&format!("{name}.yaml"));
    fs::write(&path, text).expect("a file");
    path.display().to_string()
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// A store for everybody, once it answers.
fn store(live: &Live) -> (Ends, String) {
    let address = format!("127.0.0.1:{}", free_port());
    let file = live.path("sweeps.db").display().to_string();
    let store = live.start(&["store", "--file", &file, "--listen", &address]);
    wait_until("the store answers", || {
        std::net::TcpStream::connect(&address).is_ok()
    });
    (Ends(store), format!("http://{address}"))
}

#[test]
fn kills_leave_the_table_as_it_would_have_been() {
    let Some(live) = live_without_containers() else {
        return;
    };
    cuttlefish::block_on(remove_queues());
    // More than two hundred kills on two cores.
    let n_trials = 300;
    let path = file(&live, "chaotic", n_trials);
    let expected = live.json(&["sweep", &path, "--json", "--runs-dir", &elsewhere(&live)]);
    let (_store, store) = store(&live);
    let broker = service("CUTTLEFISH_BROKER");
    let services = ["--broker", &broker, "--store", &store];
    let worker = |n: usize| {
        let name = format!("worker-{n}");
        let args = ["worker", "--slots", "1", "--name", &name];
        live.start(&[&args[..], &services].concat())
    };
    let server = || live.start(&[&["sweep", &path, "--quiet"][..], &services].concat());
    let mut workers: Vec<Child> = (0..3).map(worker).collect();
    let mut serving = server();
    let mut n_kills = 0;
    let deadline = Instant::now() + Duration::from_secs(600);
    let mut random = 7_u32;
    let ended = loop {
        assert!(Instant::now() < deadline, "the sweep gets nowhere");
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        std::thread::sleep(Duration::from_millis(u64::from(random >> 24) + 50));
        if let Some(status) = serving.try_wait().expect("a process") {
            break status;
        }
        // Every eighth time the server, otherwise a worker.
        if n_kills % 8 == 7 {
            serving.kill().expect("SIGKILL");
            serving.wait().expect("it ends");
            serving = server();
        } else {
            let victim = n_kills % workers.len();
            workers[victim].kill().expect("SIGKILL");
            workers[victim].wait().expect("it ends");
            workers[victim] = worker(victim);
        }
        n_kills += 1;
    };
    workers.into_iter().map(Ends).for_each(drop);
    eprintln!("{n_kills} kills");
    assert!(ended.success() && n_kills >= 50, "{ended}, {n_kills} kills");
    let rows = live.ok(&["trials", "chaotic", "--json"]);
    let attempts = |row: &str| serde_json::from_str::<Value>(row).unwrap()["attempt"].as_u64();
    let n_repeated = rows.lines().filter(|row| attempts(row) > Some(1)).count();
    assert!(n_repeated > 0, "nobody was killed in the middle of a trial");
    assert_eq!(rows.lines().count(), n_trials as usize, "each once");
    let table = live.ok(&["trials", "chaotic"]);
    let sha256 = expected["table_sha256"].as_str().expect("a digest");
    assert!(table.contains(sha256), "{table}, not {sha256}");
    let management = Management::new(Some(&service("CUTTLEFISH_BROKER_API")), &self::broker());
    let queues = management
        .queues("/", DEAD_TASKS)
        .expect("the broker answers");
    assert_eq!(queues.iter().map(|queue| queue.messages).sum::<u64>(), 0);
    cuttlefish::block_on(remove_queues());
}

fn elsewhere(live: &Live) -> String {
    live.path("elsewhere").display().to_string()
}
