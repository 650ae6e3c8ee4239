//! A container that is run to its end.

use std::time::{Duration, Instant};

use bollard::query_parameters::{InspectContainerOptions, LogsOptions};
use futures_util::StreamExt;

use super::desired::Container;
use super::reconcile::Action;
use super::{Docker, Error, text};

const POLL_EVERY: Duration = Duration::from_millis(100);

/// How a container has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The exit code of its process.
    pub code: i64,
    /// What that has written to stdout.
    pub output: String,
}

impl Docker {
    /// Runs a container to its end and removes it. None when it has not ended `within` a time, or
    /// `goes_on` has said no before.
    pub async fn run(
        &self,
        container: &Container,
        run: &str,
        owner: &str,
        within: Duration,
        goes_on: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<Option<Ended>, Error> {
        let created = self.create(container, run, owner).await;
        if created.is_err() {
            // It may be there all the same: made, but not started.
            let _ = self.remove(&container.name, &container.name).await;
        }
        let id = created?;
        let deadline = Instant::now() + within;
        let ended = self.ended(&id, &container.name, deadline, goes_on).await;
        let name = container.name.clone();
        let remove = vec![Action::Remove { id, name }];
        self.apply(remove, run, owner, &|_| {}, &|| true).await?;
        ended
    }

    async fn ended(
        &self,
        id: &str,
        name: &str,
        deadline: Instant,
        goes_on: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<Option<Ended>, Error> {
        let code = loop {
            let inspected = self
                .client()
                .inspect_container(id, None::<InspectContainerOptions>);
            let inspected = inspected.await;
            let inspected =
                inspected.map_err(|error| Error::api(&format!("look at {name}"), error))?;
            let state = inspected.state.unwrap_or_default();
            match state.exit_code {
                Some(code) if state.running == Some(false) => break code,
                _ if Instant::now() >= deadline || !goes_on() => return Ok(None),
                _ => tokio::time::sleep(POLL_EVERY).await,
            }
        };
        let options = LogsOptions {
            stdout: true,
            ..LogsOptions::default()
        };
        let mut lines = self.client().logs(id, Some(options));
        let mut output = String::new();
        while let Some(line) = lines.next().await {
            let line =
                line.map_err(|error| Error::api(&format!("read the log of {name}"), error))?;
            output += &text(line);
        }
        Ok(Some(Ended { code, output }))
    }
}
