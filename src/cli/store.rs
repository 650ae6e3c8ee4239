//! `store`: the embedded store, served to containers.

use std::net::TcpListener;
use std::path::PathBuf;

use super::{Exit, Failure, tell};
use crate::store::serve;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cuttlefish store --file store.db\n  \
    AWS_ENDPOINT_URL_DYNAMODB=http://127.0.0.1:8000 cuttlefish up topology/digits.yaml")]
pub struct Args {
    /// Where to listen. Containers reach this machine at the gateway of their network
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    listen: String,
    /// The database's file, created unless it exists
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
}

pub async fn run(args: &Args) -> Result<Exit, Failure> {
    let listener = TcpListener::bind(&args.listen).map_err(|error| {
        let text = format_args!(
            "failed to listen on {}: {error} (name another with --listen)",
            args.listen
        );
        Failure::new(Exit::Failed, text)
    })?;
    let server = serve::serve(listener, &args.file, None)?;
    tell(format_args!(
        "serving `{}` on http://{}",
        args.file.display(),
        args.listen
    ));
    server
        .await
        .map_err(|error| Failure::new(Exit::Failed, format_args!("the server failed: {error}")))?;
    Ok(Exit::Ok)
}
