//! Credentials of one run: they open that run, and no more of it than their bearer needs.

use cuttlefish::deploy::docker::DockerRun;
use cuttlefish::run_dir::RunDir;
use cuttlefish::store::Store;
use cuttlefish::transport::amqp::Broker;
use cuttlefish::transport::amqp::connection::SMALL_FRAMES;
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;

use crate::support::{Live, assert_gone, live, service};

async fn open(live: &Live, run: &str) -> DockerRun {
    let run = RunDir::new(&live.path("runs"), run).unwrap();
    DockerRun::open(run).await.unwrap()
}

/// Login of a run's actors, for a broker that is somewhere else for us.
async fn actor(deployed: &DockerRun, broker: &Broker) -> Broker {
    let url = deployed.secrets.read("actor/broker").unwrap();
    let inside = Broker::parse(&url, None).unwrap();
    let (user, password) = inside.credentials();
    broker.for_user(user, password, inside.vhost())
}

async fn is_let_in(broker: &Broker) -> bool {
    match broker.connect("test", SMALL_FRAMES).await {
        Ok(connection) => {
            connection.close().await.unwrap();
            true
        }
        Err(error) => {
            let message = error.to_string();
            assert!(message.contains("refused"), "{message}");
            false
        }
    }
}

/// An actor publishes and listens. It declares and removes nothing.
async fn changes_nothing(actor: &Broker, run: &str) {
    let connection = actor.connect("test", SMALL_FRAMES).await.unwrap();
    let connection = connection.into_client();
    let channel = connection.create_channel().await.unwrap();
    let options = QueueDeclareOptions::default();
    let name = format!("cf.{run}.more").into();
    let declared = channel.queue_declare(name, options, FieldTable::default());
    let message = declared.await.unwrap_err().to_string();
    assert!(message.contains("ACCESS_REFUSED"), "{message}");
    let channel = connection.create_channel().await.unwrap();
    let queue = format!("cf.{run}.trainer.in").into();
    let removed = channel.queue_delete(queue, QueueDeleteOptions::default());
    let message = removed.await.unwrap_err().to_string();
    assert!(message.contains("ACCESS_REFUSED"), "{message}");
    connection.close(200, "done".into()).await.unwrap();
}

fn up(live: &Live, run: &str, more: &[&str]) {
    let file = live.file(run, "");
    let args = ["up", &file, "-q", "--neurons-per-unit", "12"];
    live.ok(&[&args[..], more].concat());
}

#[test]
fn the_credentials_of_one_run_do_not_open_another() {
    let Some(live) = live() else { return };
    up(&live, "mine", &[]);
    up(&live, "theirs", &[]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mine = open(&live, "mine").await;
        let theirs = open(&live, "theirs").await;
        let broker = theirs.broker().await.unwrap();
        assert!(is_let_in(&broker).await);
        assert!(is_let_in(&actor(&theirs, &broker).await).await);
        assert!(!is_let_in(&actor(&mine, &broker).await).await);
        changes_nothing(&actor(&theirs, &broker).await, "theirs").await;
        let store = theirs.store().await.unwrap();
        assert!(store.get_record().await.is_ok());
        let trainer = theirs.inspect("trainer").await.unwrap();
        assert!(trainer.look(0).await.is_ok());

        // Their doors, with my keys.
        let intruder = DockerRun {
            secrets: mine.secrets,
            ..theirs
        };
        let (user, password) = {
            let mine = intruder.broker().await.unwrap();
            let (user, password) = mine.credentials();
            (user.to_owned(), password.to_owned())
        };
        let admin = broker.for_user(&user, &password, broker.vhost());
        assert!(!is_let_in(&admin).await);
        let store = intruder.store().await.unwrap();
        let message = store.get_record().await.unwrap_err().to_string();
        assert!(message.contains("credentials"), "{message}");
        let trainer = intruder.inspect("trainer").await.unwrap();
        let message = trainer.look(0).await.unwrap_err().to_string();
        assert!(message.contains("401"), "{message}");
    });
    for run in ["mine", "theirs"] {
        live.ok(&["down", run]);
        assert_gone(&live, run);
    }
}

#[test]
fn runs_at_one_broker_do_not_reach_each_other() {
    let Some(live) = live() else { return };
    let (url, api) = (
        service("CUTTLEFISH_BROKER"),
        service("CUTTLEFISH_BROKER_API"),
    );
    let broker_args = ["--broker", &url, "--broker-api", &api];
    up(&live, "first", &broker_args);
    up(&live, "second", &broker_args);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let broker = Broker::parse(&url, None).unwrap();
        let first = actor(&open(&live, "first").await, &broker).await;
        let second = actor(&open(&live, "second").await, &broker).await;
        assert!(is_let_in(&first).await && is_let_in(&second).await);
        let (user, password) = first.credentials();
        let across = first.for_user(user, password, second.vhost());
        assert!(!is_let_in(&across).await);
        changes_nothing(&first, "first").await;
    });
    for run in ["first", "second"] {
        live.ok(&["down", run]);
        assert_gone(&live, run);
    }
}
