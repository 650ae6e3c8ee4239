//! A sweep in this process: its server, and workers on threads of their own.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::data::DataCache;
use super::progress::{FinishedTrial, Progress};
use super::server::{Ended, Server};
use super::worker::Workshop;
use super::{Error, Place, PreparedSweep, keep_place};
use crate::config::Config;
use crate::monitor::Monitor;
use crate::transport::tasks::in_memory;

/// Trains a sweep in this process, `slots` trials at a time. The same sweep is gone on with.
///
/// # Errors
/// When there is another sweep of this name, or its directory cannot be used.
pub async fn run(
    mut prepared: PreparedSweep,
    (slots, is_replacing): (usize, bool),
    config: &Config,
    monitor: &Arc<Monitor>,
    on_trial: &mut dyn FnMut(&FinishedTrial, &Progress),
) -> Result<(PreparedSweep, Progress, Ended), Error> {
    let dir = prepared.directory(config)?;
    dir.create()?;
    let _lock = dir.lock()?;
    let store = dir.store().await?;
    let found = prepared.open(&store, is_replacing).await?;
    keep_place(&dir, &Place::Here)?;
    let data = DataCache::new()?;
    let name = format!("process {}", std::process::id());
    // The lock says that nobody else works on any of them.
    let workshop = Workshop::new(name, store.clone(), data.clone());
    let workshop = Arc::new(workshop.with_orphans(found.claimed.clone()));
    let (mut board, queue) = in_memory();
    let (failed, mut failures) = mpsc::unbounded_channel();
    let mut threads = Vec::new();
    for slot in 0..slots {
        let (workshop, mut queue) = (workshop.clone(), queue.clone());
        let (monitor, failed) = (monitor.clone(), failed.clone());
        let work = move || {
            let worked = crate::block_on(workshop.work(&mut queue, &monitor));
            // A server that has ended needs no workers.
            if let Err(error) = worked {
                let _ = failed.send(error);
            }
        };
        let thread = std::thread::Builder::new().name(format!("trials {slot}"));
        threads.push(
            thread
                .spawn(work)
                .map_err(|error| Error::Threads(error.to_string()))?,
        );
    }
    // With the last worker the channel ends.
    drop(failed);
    let mut progress = prepared.progress();
    let server = Server {
        name: prepared.name.clone(),
        definition: Arc::new(prepared.definition.clone()),
        store,
        data,
        is_shared: false,
        directories: prepared.directories.clone(),
    };
    let served = tokio::select! {
        served = server.serve(&mut board, &found, &mut progress, monitor, on_trial) => served,
        error = failures.recv() => Err(error.unwrap_or(Error::Worker("it panicked".to_owned()))),
    };
    // Workers end with the queue, after the trials under way; an error does not wait for those.
    drop(board);
    let ended = served?;
    for thread in threads {
        thread
            .join()
            .map_err(|_| Error::Worker("it panicked".to_owned()))?;
    }
    Ok((prepared, progress, ended))
}
