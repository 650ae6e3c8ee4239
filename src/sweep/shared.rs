//! A sweep over a broker: its server in one process, workers in any others.
//!
//! Whoever loses broker or store tries again until it is there, as long as nobody interrupts it: nothing is lost
//! meanwhile but time.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;

use super::data::DataCache;
use super::progress::{FinishedTrial, Progress};
use super::server::{Ended, Found, Server};
use super::worker::Workshop;
use super::{Error, Place, PreparedSweep, keep_place};
use crate::config::Config;
use crate::monitor::Monitor;
use crate::store::{DynamoStore, connect_from_environment_to};
use crate::transport::amqp::Broker;
use crate::transport::amqp::tasks::{AmqpBoard, AmqpQueue};

/// Pause before the first try to reach what was lost; doubled after each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// Broker and store that server and workers share.
#[derive(Clone, Debug)]
pub struct Services {
    /// The broker.
    pub broker: Broker,
    /// Address of the store; `None` for the DynamoDB of the region.
    pub store: Option<String>,
    /// The table.
    pub table: String,
}

impl Services {
    /// The store of a sweep.
    async fn store(&self, sweep: &str) -> Result<DynamoStore, Error> {
        let client = connect_from_environment_to(self.store.as_deref()).await;
        Ok(DynamoStore::new(client, &self.table, sweep)?)
    }
}

/// Serves a sweep whose trials are trained by workers elsewhere. The same sweep is gone on with.
///
/// # Errors
/// When there is another sweep of this name, another server serves this one, or the services refuse.
pub async fn serve(
    mut prepared: PreparedSweep,
    services: &Services,
    is_replacing: bool,
    config: &Config,
    monitor: &Monitor,
    on_trial: &mut dyn FnMut(&FinishedTrial, &Progress),
) -> Result<(PreparedSweep, Progress, Ended), Error> {
    let dir = prepared.directory(config)?;
    dir.create()?;
    let _lock = dir.lock()?;
    let store = services.store(&prepared.name).await?;
    // Of a sweep that is served elsewhere nothing is changed.
    let mut board = AmqpBoard::connect(&services.broker, &prepared.name).await?;
    let mut found = prepared.open(&store, is_replacing).await?;
    keep_place(
        &dir,
        &Place::Shared {
            store: services.store.clone(),
            table: services.table.clone(),
        },
    )?;
    let server = Server {
        name: prepared.name.clone(),
        definition: Arc::new(prepared.definition.clone()),
        store: store.clone(),
        data: DataCache::new()?,
        is_shared: true,
        directories: prepared.directories.clone(),
    };
    let mut pause = FIRST_PAUSE;
    let mut shown = 0;
    loop {
        let mut progress = prepared.progress();
        let mut since_shown = |trial: &FinishedTrial, progress: &Progress| {
            pause = FIRST_PAUSE;
            // After a reconnection it counts from the store again.
            if progress.n_finished > shown {
                shown = progress.n_finished;
                on_trial(trial, progress);
            }
        };
        let served = server.serve(&mut board, &found, &mut progress, monitor, &mut since_shown);
        let error = match served.await {
            Ok(ended) => {
                if ended != Ended::Interrupted {
                    board.close().await?;
                }
                return Ok((prepared, progress, ended));
            }
            Err(error) if error.is_passing() => error,
            Err(error) => return Err(error),
        };
        monitor.note(format!("{error}; trying again"));
        board = loop {
            tokio::select! {
                () = monitor.interrupted_more_than(0) => {
                    return Ok((prepared, progress, Ended::Interrupted));
                }
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(MAX_PAUSE);
            match AmqpBoard::connect(&services.broker, &prepared.name).await {
                Ok(board) => break board,
                Err(error) => monitor.note(format!("failed to {error}; trying again")),
            }
        };
        found = Found::read(&store).await.unwrap_or(found);
    }
}

/// Works on tasks of all sweeps of a broker and a table, `slots` at a time, until the caller interrupts.
///
/// # Errors
/// When the services refuse at the start.
pub async fn work(
    services: &Services,
    name: &str,
    slots: usize,
    monitor: &Arc<Monitor>,
) -> Result<(), Error> {
    // Whatever is wrong with the services is said at once.
    let store = services.store("workers").await?;
    store.ensure_table().await?;
    AmqpQueue::connect(&services.broker, name).await?;
    let workshop = Arc::new(Workshop::new(name.to_owned(), store, DataCache::new()?));
    let mut threads = Vec::new();
    for slot in 0..slots {
        let (workshop, monitor) = (workshop.clone(), monitor.clone());
        let broker = services.broker.clone();
        let connection = match slots {
            1 => name.to_owned(),
            _ => format!("{name}/{slot}"),
        };
        let work = move || crate::block_on(work_on(&workshop, &broker, &connection, &monitor));
        let thread = std::thread::Builder::new().name(format!("trials {slot}"));
        threads.push(
            thread
                .spawn(work)
                .map_err(|error| Error::Threads(error.to_string()))?,
        );
    }
    // The first error is said when it comes.
    let ends = threads.into_iter().map(|thread| async {
        let worked = tokio::task::spawn_blocking(|| thread.join()).await;
        let worked = worked.map_err(|error| Error::Worker(error.to_string()))?;
        worked.map_err(|_| Error::Worker("it panicked".to_owned()))?
    });
    try_join_all(ends).await.map(drop)
}

/// One slot of a worker: a connection, made again when it is lost.
async fn work_on(
    workshop: &Workshop,
    broker: &Broker,
    connection: &str,
    monitor: &Monitor,
) -> Result<(), Error> {
    let mut pause = FIRST_PAUSE;
    loop {
        let worked = match AmqpQueue::connect(broker, connection).await {
            Ok(mut queue) => {
                pause = FIRST_PAUSE;
                workshop.work(&mut queue, monitor).await
            }
            Err(error) => Err(error.into()),
        };
        match worked {
            Ok(()) => return Ok(()),
            Err(error) if error.is_passing() => monitor.note(format!("{error}; trying again")),
            Err(error) => return Err(error),
        }
        tokio::select! {
            () = monitor.interrupted_more_than(0) => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(MAX_PAUSE);
    }
}
