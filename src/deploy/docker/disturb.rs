//! What is done to a container by those who test what a run survives, and how it is undone.
//!
//! Docker remembers that a container was sent a signal through its API, whichever signal it was, and
//! does not start it again by itself. So containers are frozen by `pause`, and killed as a process of
//! the host where the restart policy is to bring them back.

use std::process::Stdio;
use std::time::Duration;

use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use bollard::models::{NetworkConnectRequest, NetworkDisconnectRequest};
use bollard::query_parameters::{InspectContainerOptions, RestartContainerOptions};
use futures_util::stream::StreamExt;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::desired::Container;
use super::{Docker, Error, error, render, text};
use crate::attempts::for_each;

/// What Docker gives a container that is to end, before it kills it.
const END_WITHIN_SECONDS: i32 = 20;

/// What a container may send when its network is slow, and what may wait for that: a token bucket
/// (tc-tbf(8)), which drops what waits for longer.
const SLOW: &str = "tbf rate 128kbit burst 4kb latency 400ms";

/// Why a network cannot be slowed down that is not there.
const NOT_CONNECTED: &str = "it is not connected";

/// A command in a container, on a busy machine.
const RUN_WITHIN: Duration = Duration::from_secs(60);

impl Docker {
    /// The process of a container as the daemon's host numbers it; none while there is none.
    pub async fn process(&self, name: &str) -> Result<Option<i32>, Error> {
        Ok(self.process_and_id(name).await?.0)
    }

    async fn process_and_id(&self, name: &str) -> Result<(Option<i32>, String), Error> {
        let inspected = self
            .client
            .inspect_container(name, None::<InspectContainerOptions>)
            .await;
        let inspected = inspected.map_err(|error| Error::api(&format!("inspect {name}"), error))?;
        let pid = inspected.state.and_then(|state| state.pid);
        let pid = pid.and_then(|pid| i32::try_from(pid).ok());
        Ok((pid.filter(|&pid| pid > 0), inspected.id.unwrap_or_default()))
    }

    /// The process of a container, if it is one of this machine and we may kill it.
    async fn own_process(&self, name: &str) -> Result<Pid, Error> {
        let (pid, id) = self.process_and_id(name).await?;
        let denied = |problem: String| Error::Process {
            container: name.to_owned(),
            problem,
        };
        let Some(pid) = pid else {
            return Err(denied("it has none at the moment".to_owned()));
        };
        // A daemon of another machine numbers other processes.
        let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        if id.is_empty() || !groups.contains(&id) {
            return Err(denied(format!(
                "process {pid} of this machine is not that container's"
            )));
        }
        let pid = Pid::from_raw(pid).ok_or_else(|| denied("it has none".to_owned()))?;
        test_kill_process(pid).map_err(|error| denied(error.to_string()))?;
        Ok(pid)
    }

    /// Whether [`Docker::kill_process`] would do it.
    pub async fn may_kill_process(&self, name: &str) -> Result<(), Error> {
        self.own_process(name).await.map(drop)
    }

    /// Kills a container's process behind Docker's back, as a crash would.
    pub async fn kill_process(&self, name: &str) -> Result<(), Error> {
        let pid = self.own_process(name).await?;
        kill_process(pid, Signal::KILL).map_err(|error| Error::Process {
            container: name.to_owned(),
            problem: error.to_string(),
        })
    }

    /// Whether [`Docker::slow_network`] would do it.
    pub async fn may_slow_network(&self, name: &str) -> Result<(), Error> {
        self.traffic_control(name, "show", "").await
    }

    /// Slows down what a container sends, with the host's `tc` in the container's network.
    pub async fn slow_network(&self, name: &str) -> Result<(), Error> {
        self.traffic_control(name, "replace", &format!("root {SLOW}"))
            .await
    }

    /// Undoes [`Docker::slow_network`]; one whose network is as it should be is no error.
    pub async fn quicken_network(&self, name: &str) -> Result<(), Error> {
        match self.traffic_control(name, "del", "root").await {
            // What tc-qdisc(8) says where there is none; a container that has been started anew has a
            // new network, and one that has ended has none.
            Err(Error::Network { problem, .. })
                if problem.contains("of zero") || problem == NOT_CONNECTED =>
            {
                Ok(())
            }
            Err(Error::Process { .. }) => Ok(()),
            Err(error)
                if self
                    .process(name)
                    .await
                    .is_ok_and(|process| process.is_none()) =>
            {
                tracing::debug!("{name} has ended meanwhile: {error}");
                Ok(())
            }
            done => done,
        }
    }

    async fn traffic_control(&self, name: &str, verb: &str, what: &str) -> Result<(), Error> {
        let process = self.own_process(name).await?.as_raw_pid();
        let denied = |problem: String| Error::Network {
            container: name.to_owned(),
            problem,
        };
        let routes = std::fs::read_to_string(format!("/proc/{process}/net/route"));
        let routes = routes.map_err(|error| denied(error.to_string()))?;
        let Some(device) = way_out(&routes) else {
            return Err(denied(NOT_CONNECTED.to_owned()));
        };
        let mut command = std::process::Command::new("nsenter");
        command
            .args(["--net", "--target", &process.to_string()])
            .args(["tc", "qdisc", verb, "dev", device])
            .args(what.split_whitespace())
            .stdin(Stdio::null());
        let run = tokio::task::spawn_blocking(move || command.output()).await;
        let output = run
            .map_err(|error| denied(error.to_string()))?
            .map_err(|error| denied(format!("nsenter: {error}")))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(denied(said.trim().to_owned()));
        }
        Ok(())
    }

    /// Stops a container in an orderly way and starts it again.
    pub async fn restart(&self, name: &str) -> Result<(), Error> {
        let options = RestartContainerOptions {
            t: Some(END_WITHIN_SECONDS),
            ..RestartContainerOptions::default()
        };
        let restarted = self.client.restart_container(name, Some(options)).await;
        restarted.map_err(|error| Error::api(&format!("restart {name}"), error))
    }

    /// Freezes every process of a container.
    pub async fn pause(&self, name: &str) -> Result<(), Error> {
        let paused = self.client.pause_container(name).await;
        paused.map_err(|error| Error::api(&format!("pause {name}"), error))
    }

    /// Undoes [`Docker::pause`]; one that is not frozen (any more) is no error.
    pub async fn unpause(&self, name: &str) -> Result<(), Error> {
        match self.client.unpause_container(name).await {
            Err(error) if !error::says(&error, "is not paused") && !error::is_gone(&error) => {
                Err(Error::api(&format!("unpause {name}"), error))
            }
            _ => Ok(()),
        }
    }

    /// Takes a container off its networks.
    pub async fn cut(&self, container: &Container) -> Result<(), Error> {
        let name = container.name.as_str();
        for network in &container.networks {
            let request = NetworkDisconnectRequest {
                container: name.to_owned(),
                force: None,
            };
            let cut = self.client.disconnect_network(network, request).await;
            cut.map_err(|error| Error::api(&format!("disconnect {name} from {network}"), error))?;
        }
        Ok(())
    }

    /// Undoes [`Docker::cut`]; one that is connected is no error.
    pub async fn reconnect(&self, container: &Container) -> Result<(), Error> {
        let name = container.name.as_str();
        let connect = |network: String| async move {
            let request = NetworkConnectRequest {
                container: name.to_owned(),
                endpoint_config: Some(render::endpoint(container)),
            };
            match self.client.connect_network(&network, request).await {
                Err(error)
                    if !error::says(&error, "already exists in network")
                        && !error::is_gone(&error) =>
                {
                    Err(Error::api(&format!("connect {name} to {network}"), error))
                }
                _ => Ok(()),
            }
        };
        let networks = container.networks.clone();
        let total = networks.len();
        let left = for_each(networks, 1, connect, |_| {}, &|| true).await;
        Error::of_many(&format!("connect {name} to"), "network", total, left)
    }

    /// Runs a command in a container; one that fails is an error with what it wrote.
    pub async fn run_in(&self, name: &str, command: &[&str]) -> Result<(), Error> {
        let what = format!("run `{}` in {name}", command.join(" "));
        let ended = tokio::time::timeout(RUN_WITHIN, self.run_to_end(name, command, &what)).await;
        ended.unwrap_or_else(|_| {
            let seconds = RUN_WITHIN.as_secs();
            Err(Error::Endless { what, seconds })
        })
    }

    async fn run_to_end(&self, name: &str, command: &[&str], what: &str) -> Result<(), Error> {
        let failed = |error| Error::api(what, error);
        let options = CreateExecOptions {
            cmd: Some(command.to_vec()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..CreateExecOptions::default()
        };
        let created = self.client.create_exec(name, options).await;
        let id = created.map_err(failed)?.id;
        let started = self.client.start_exec(&id, None::<StartExecOptions>).await;
        let mut written = String::new();
        if let StartExecResults::Attached { mut output, .. } = started.map_err(failed)? {
            while let Some(Ok(part)) = output.next().await {
                written.push_str(&text(part));
            }
        }
        let inspected = self.client.inspect_exec(&id).await.map_err(failed)?;
        match inspected.exit_code {
            Some(0) => Ok(()),
            code => Err(Error::Command {
                what: what.to_owned(),
                code: code.unwrap_or(-1),
                written,
            }),
        }
    }
}

/// The interface of the default route, of what the kernel lists under `/proc/PID/net/route`. A container
/// that has been off its network has another one than at first.
fn way_out(routes: &str) -> Option<&str> {
    let mut fields = routes.lines().map(|line| line.split_whitespace());
    fields.find_map(|mut fields| {
        let (device, destination) = (fields.next()?, fields.next()?);
        (destination == "00000000").then_some(device)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interface_is_found_by_whatever_name() {
        let routes = "\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth1\t000012AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
eth1\t00000000\t010012AC\t0003\t0\t0\t0\t00000000\t0\t0\t0
";
        assert_eq!(way_out(routes), Some("eth1"));
        let (unconnected, _) = routes.split_once("eth1").unwrap();
        assert_eq!(way_out(unconnected), None);
    }
}
