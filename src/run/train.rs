//! Bringing a run up, training it, attaching to it, taking it down.

use std::time::{Duration, Instant};

use cuttlefish_core::topology::{Graph, Topology};

use super::follow::follow;
use super::outcome::Trained;
use super::prepare::{dataset_of, existing, exists};
use super::{Error, Overrides, Prepared, Request, Run, Source, recorded_graph};
use crate::config::Config;
use crate::deploy::{self, Changes, Kind, Options, Workload};
use crate::monitor::Monitor;
use crate::record::RowCounts;
use crate::run_dir::{Lock, RunDir};

/// A run that has been brought up, and what that took.
pub struct BroughtUp {
    /// The run.
    pub run: Run,
    /// What it trains.
    pub workload: Workload,
    /// Changes that were made.
    pub changes: Changes,
    /// The time that they took.
    pub took: Duration,
}

/// Brings a prepared run up on the target of `options`. One that was not there before is removed again when
/// that fails or is interrupted.
///
/// # Errors
/// Says what failed, and what is left.
pub async fn bring_up(
    prepared: Prepared,
    options: Options,
    monitor: &Monitor,
) -> Result<BroughtUp, Error> {
    let Prepared {
        dir,
        workload,
        is_replacing,
        target: expected,
        lock,
    } = prepared;
    let kind = options.kind();
    if let Some(found) = expected.filter(|found| *found != kind) {
        return Err(Error::OtherTarget {
            run: dir.name().to_owned(),
            found,
            asked: kind,
        });
    }
    let lock = match lock {
        Some(lock) => lock,
        None => {
            dir.create()?;
            dir.lock()?
        }
    };
    // Another process may have made a run, or removed it, while this one was prepared.
    match existing(&dir).await? {
        Some(_) if is_replacing => remove(&dir, &lock, monitor).await?,
        found if found == expected => {}
        Some(found) => return Err(exists(&dir, found, kind)),
        None => {
            return Err(Error::from(deploy::Error::TakenDown {
                run: dir.name().to_owned(),
            }));
        }
    }
    let is_new = is_replacing || expected.is_none();
    if is_new {
        // What a process has left that was killed while it made a run.
        dir.clear(&lock)?;
    }
    let started = Instant::now();
    let mut target = deploy::create(dir.clone(), options).await?;
    let changes = match target.up(&workload, monitor).await {
        Ok(changes) => changes,
        Err(error) => return Err(give_up(&dir, lock, is_new, error, monitor).await),
    };
    // In containers others may work on the run meanwhile: an attached command starts what has ended.
    let lock = Some(lock).filter(|_| kind == Kind::Local);
    Ok(BroughtUp {
        run: Run { dir, target, lock },
        workload,
        changes,
        took: started.elapsed(),
    })
}

/// Removes what was made, if the run was not there before.
async fn give_up(
    dir: &RunDir,
    lock: Lock,
    is_new: bool,
    error: deploy::Error,
    monitor: &Monitor,
) -> Error {
    let run = dir.name().to_owned();
    if is_new {
        let removed = async {
            remove(dir, &lock, monitor).await?;
            Ok::<(), Error>(dir.remove(&lock)?)
        };
        if let Err(left) = removed.await {
            monitor.note(format!(
                "{left}\nwhat is left can be removed with `cuttlefish down {run}`"
            ));
        }
    }
    match error {
        deploy::Error::Interrupted => Error::Cancelled { run, is_new },
        error => error.into(),
    }
}

/// Removes what a run has on its target, and empties its directory.
async fn remove(dir: &RunDir, lock: &Lock, monitor: &Monitor) -> Result<(), Error> {
    if dir.exists() {
        let target = deploy::open(dir.clone()).await?;
        target.down(lock, monitor).await?;
    }
    Ok(dir.clear(lock)?)
}

impl BroughtUp {
    /// Trains the run to its end. The first interrupt asks it to commit and stop, the second one lets go of it.
    ///
    /// # Errors
    /// Says how training failed, or that the caller let go of the run.
    pub async fn train(&self, monitor: &Monitor) -> Result<Trained, Error> {
        let counts = RowCounts::of(&self.workload.dataset);
        self.run.follow(&self.workload.graph, counts, monitor).await
    }
}

impl Run {
    /// Trains a network of a program: prepares it, brings it up on the target of `options`, and follows its
    /// training to the end. `monitor` hears what happens, and can stop it.
    ///
    /// # Errors
    /// Lists what is wrong with the topology, says that there is a run of its name, or how training failed.
    pub async fn train(
        topology: &Topology,
        options: Options,
        config: &Config,
        monitor: &Monitor,
    ) -> Result<(Self, Trained), Error> {
        let request = Request {
            topology: Source::Program(topology),
            overrides: &Overrides::default(),
            target: options.kind(),
            overwrite: false,
        };
        let prepared = Prepared::from_topology(&request, config).await?;
        let up = bring_up(prepared, options, monitor).await?;
        let trained = up.train(monitor).await?;
        Ok((up.run, trained))
    }

    /// Follows the training of a run in containers to its end, whoever brought it up. The first interrupt
    /// asks it to commit and stop, the second one leaves it alone.
    ///
    /// # Errors
    /// Says how training failed, or that the caller left the run.
    pub async fn attach(&self, config: &Config, monitor: &Monitor) -> Result<Trained, Error> {
        let record = self.target.record().await?;
        let graph = recorded_graph(self.name(), &record)?;
        let counts = match record.rows.counts {
            Some(counts) => counts,
            // An earlier version of this program has not written them down.
            None => RowCounts::of(&dataset_of(&record, config)?),
        };
        self.follow(&graph, counts, monitor).await
    }

    async fn follow(
        &self,
        graph: &Graph,
        counts: RowCounts,
        monitor: &Monitor,
    ) -> Result<Trained, Error> {
        let session = self.target.session(graph).await?;
        let ended = follow(self.name(), session, graph, counts, monitor).await?;
        self.trained(ended, graph).await
    }

    /// Removes the run and everything that belongs to it.
    ///
    /// # Errors
    /// Names what is left; then `down` can be repeated.
    pub async fn down(self, monitor: &Monitor) -> Result<(), Error> {
        let lock = match self.lock {
            Some(lock) => lock,
            None => self.dir.lock()?,
        };
        self.target.down(&lock, monitor).await?;
        Ok(self.dir.remove(&lock)?)
    }
}
