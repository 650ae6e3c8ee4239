//! `console`: the web console and its REST API.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use super::services::ServiceArgs;
use super::{Exit, Failure, tell};
use crate::config::Config;
use crate::console::{self, Options, random_token};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Prints a link with a token; whoever has it may do everything that this command may. Runs are \
    trained by commands of their own, which go on when the console has ended. Broker, store and images of \
    runs in containers are those of the environment.\n\nExamples:\n  \
    cuttlefish console\n  cuttlefish console --listen 127.0.0.1:7777 --no-open\n  \
    CUTTLEFISH_CONSOLE_TOKEN=secret cuttlefish console --listen 0.0.0.0:7777 --name console.example\n  \
    curl -H 'Authorization: Bearer TOKEN' http://127.0.0.1:7777/api/v1/runs"
)]
pub struct Args {
    /// Where to listen; port 0 is any that is free
    #[arg(long, value_name = "ADDRESS", default_value_t = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7777))]
    listen: SocketAddr,
    /// Answer for this host name too; may be repeated
    #[arg(long = "name", value_name = "HOST")]
    names: Vec<String>,
    /// The largest file that is taken, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    max_upload: u64,
    /// Do not open a browser
    #[arg(long)]
    no_open: bool,
}

pub async fn run(args: Args, config: &Config) -> Result<Exit, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::new(Exit::Failed, error);
    let listener = TcpListener::bind(args.listen).map_err(|error| {
        let text = format_args!(
            "failed to listen on {}: {error} (name another with --listen)",
            args.listen
        );
        Failure::new(Exit::Failed, text)
    })?;
    let address = listener.local_addr().map_err(|error| failed(&error))?;
    let token = match &config.console_token {
        Some(token) => token.clone(),
        None => random_token().map_err(|error| failed(&error))?,
    };
    let program = std::env::current_exe().map_err(|error| failed(&error))?;
    let of_services = config.clone();
    let server = console::serve(
        listener,
        Options {
            config: config.clone(),
            services: Arc::new(move |is_up| ServiceArgs::default().resolve(&of_services, is_up)),
            program,
            token: token.clone(),
            names: args.names,
            max_upload: args.max_upload << 20,
        },
    );
    let server = server.map_err(|error| failed(&error))?;
    let link = match config.console_token {
        // Whoever chose it knows it.
        Some(_) => format!("http://{address}/?token=..."),
        None => format!("http://{address}/?token={token}"),
    };
    tell(format_args!("console on {link}"));
    if !args.no_open && config.console_token.is_none() {
        open(&link);
    }
    let handle = server.handle();
    let mut interrupts = signal(SignalKind::interrupt()).map_err(|error| failed(&error))?;
    let mut terminations = signal(SignalKind::terminate()).map_err(|error| failed(&error))?;
    tokio::select! {
        ended = server => {
            ended.map_err(|error| failed(&error))?;
            return Ok(Exit::Ok);
        }
        _ = interrupts.recv() => {}
        _ = terminations.recv() => {}
    }
    handle.stop(true).await;
    tell("the console has ended; runs that train go on");
    Ok(Exit::Ok)
}

/// Opens a browser, where there is one.
fn open(link: &str) {
    let opener = if cfg!(target_os = "macos") {
        "open"
    } else {
        "xdg-open"
    };
    let mut command = std::process::Command::new(opener);
    command
        .arg(link)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    // The link is printed, so nothing is lost where none opens.
    let _ = command.spawn();
}
