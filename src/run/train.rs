//! Bringing a run up, training it, attaching to it, taking it down.

use std::time::{Duration, Instant};

use cuttlefish_core::topology::{Graph, Topology};

use super::follow::follow;
use super::outcome::TrainingResult;
use super::prepare::{dataset_of, existing, exists};
use super::{Error, Overrides, PreparedRun, Run, RunRequest, TopologySource, recorded_graph};
use crate::config::Config;
use crate::deploy::{self, Changes, Options, TargetKind, Workload};
use crate::monitor::Monitor;
use crate::record::{Record, RowCounts};
use crate::run_dir::{self, Lock, RunDir};

/// Longest wait for a process that repairs a run, and the pause between two tries.
const LOCKED_FOR: Duration = Duration::from_secs(15);
const LOCK_PAUSE: Duration = Duration::from_millis(200);

/// A run that has been brought up, and what that took.
pub struct LaunchedRun {
    /// The run.
    pub run: Run,
    /// The network that it trains, and its data.
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
    prepared: PreparedRun,
    options: Options,
    monitor: &Monitor,
) -> Result<LaunchedRun, Error> {
    let PreparedRun {
        dir,
        workload,
        is_replacing,
        target: expected,
        before,
        lock,
    } = prepared;
    let kind = options.kind();
    if let Some(current) = expected.filter(|current| *current != kind) {
        return Err(Error::OtherTarget {
            run: dir.name().to_owned(),
            current,
            requested: kind,
        });
    }
    // Refused before anything is made, and before the run that is replaced is removed.
    let target = deploy::create(dir.clone(), options.clone()).await?;
    target.check(&workload, is_replacing, monitor).await?;
    let lock = match lock {
        Some(lock) => lock,
        None => {
            dir.create()?;
            dir.lock()?
        }
    };
    // Another process may have made a run, changed it or removed it, while this one was prepared.
    match existing(&dir).await? {
        Some(_) if is_replacing => remove(&dir, &lock, monitor).await?,
        current if current == expected => check_unchanged(&dir, before.as_ref()).await?,
        Some(current) => return Err(exists(&dir, current, kind)),
        None => {
            return Err(Error::from(deploy::Error::TakenDown {
                run: dir.name().to_owned(),
            }));
        }
    }
    let is_new = is_replacing || expected.is_none();
    if is_new && dir.exists() {
        // A process that was killed while it made a run has left something.
        dir.clear(&lock)?;
    }
    let started = Instant::now();
    let mut target = deploy::create(dir.clone(), options).await?;
    let changes = match target.up(&workload, monitor).await {
        Ok(changes) => changes,
        Err(error) => return Err(give_up(&dir, lock, is_new, error, monitor).await),
    };
    // In containers others may work on the run meanwhile: an attached command starts what has ended.
    let lock = Some(lock).filter(|_| kind == TargetKind::Local);
    Ok(LaunchedRun {
        run: Run { dir, target, lock },
        workload,
        changes,
        took: started.elapsed(),
    })
}

/// Refuses to go on with a run that is not what it was when it was prepared.
async fn check_unchanged(dir: &RunDir, before: Option<&Record>) -> Result<(), Error> {
    let Some(before) = before else {
        return Ok(());
    };
    let current = deploy::open(dir.clone()).await?.record().await?;
    match current.to_json()? == before.to_json()? {
        true => Ok(()),
        false => Err(Error::ChangedMeanwhile(dir.name().to_owned())),
    }
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
    let removed = match is_new {
        false => Ok(()),
        true => match remove(dir, &lock, monitor).await {
            Ok(()) => dir.remove(&lock).map_err(Error::from),
            Err(error) => Err(error),
        },
    };
    let is_removed = is_new && removed.is_ok();
    let error = match error {
        deploy::Error::Interrupted => Error::Cancelled { run, is_removed },
        error => error.into(),
    };
    match removed {
        Ok(()) => error,
        Err(remains) => Error::Remains {
            error: Box::new(error),
            remains: Box::new(remains),
        },
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

impl LaunchedRun {
    /// Trains the run to its end. The first interrupt asks it to commit and stop, the second one lets go of it.
    ///
    /// # Errors
    /// Says how training failed, or that the caller let go of the run.
    pub async fn train(&self, monitor: &Monitor) -> Result<TrainingResult, Error> {
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
    ) -> Result<(Self, TrainingResult), Error> {
        let request = RunRequest {
            topology: TopologySource::Program(topology),
            overrides: &Overrides::default(),
            target: options.kind(),
            overwrite: false,
        };
        let prepared = PreparedRun::from_topology(&request, config).await?;
        let up = bring_up(prepared, options, monitor).await?;
        let trained = up.train(monitor).await?;
        Ok((up.run, trained))
    }

    /// Follows the training of a run in containers to its end, whoever brought it up. The first interrupt
    /// asks it to commit and stop, the second one leaves it alone.
    ///
    /// # Errors
    /// Says how training failed, or that the caller left the run.
    pub async fn attach(
        &self,
        config: &Config,
        monitor: &Monitor,
    ) -> Result<TrainingResult, Error> {
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
    ) -> Result<TrainingResult, Error> {
        let session = self.target.session(graph).await?;
        let end = follow(self.name(), session, graph, counts, monitor).await?;
        self.training_result(end, graph, monitor).await
    }

    /// Asks the run's trainer to commit and end, whoever follows the training.
    ///
    /// # Errors
    /// When nobody trains it, or the trainer cannot be asked.
    pub async fn stop(&self) -> Result<(), Error> {
        Ok(self.target.stop().await?)
    }

    /// Removes the run and everything that belongs to it.
    ///
    /// # Errors
    /// Names what is left; then `down` can be repeated.
    pub async fn down(self, monitor: &Monitor) -> Result<(), Error> {
        let lock = match self.lock {
            Some(lock) => lock,
            None if self.target.kind() == TargetKind::Local => self.dir.lock()?,
            // A process that is attached takes it for the moments in which it repairs the run.
            None => lock_patiently(&self.dir).await?,
        };
        // Another process may have changed it before the lock was taken.
        let target = deploy::open(self.dir.clone()).await?;
        target.down(&lock, monitor).await?;
        Ok(self.dir.remove(&lock)?)
    }
}

/// Takes a run for this process, as soon as others have let go of it.
async fn lock_patiently(dir: &RunDir) -> Result<Lock, Error> {
    let started = Instant::now();
    loop {
        match dir.lock() {
            Err(run_dir::Error::Locked { .. }) if started.elapsed() < LOCKED_FOR => {
                tokio::time::sleep(LOCK_PAUSE).await;
            }
            locked => return Ok(locked?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_another_holds_for_a_moment_is_waited_for() {
        let runs = tempfile::tempdir().unwrap();
        let dir = RunDir::new(runs.path(), "digits").unwrap();
        dir.create().unwrap();
        let lock = dir.lock().unwrap();
        // Longer than one call of `lock` waits.
        let holder = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(700));
            drop(lock);
        });
        assert!(
            dir.lock().is_err(),
            "one call of `lock` does not wait for it"
        );
        crate::block_on(lock_patiently(&dir)).unwrap();
        holder.join().unwrap();
    }
}
