//! The actors of this process, shown to other programs on this machine as containers show theirs.
//!
//! The server listens on the loopback address, and a document in the run's directory, which only its owner can
//! read, says where and with which token.

use std::fs::{self, File};
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use cuttlefish_core::ids::Address;
use cuttlefish_core::topology::Graph;
use cuttlefish_core::view::View;
use serde::{Deserialize, Serialize};

use super::{Error, Inspection, secrets};
use crate::host::actor::ActorMailbox;
use crate::host::{Observer, RunSnapshot};
use crate::inspect::routes::VIEW_WITHIN;
use crate::inspect::{self, About, Access, ServerHandle, Subject};
use crate::run_dir::RunDir;
use crate::transport::Link;

const DOCUMENT: &str = "inspection.json";

/// Content of the document.
#[derive(Serialize, Deserialize)]
struct Place {
    url: String,
    token: String,
    /// The process that trains.
    #[serde(default)]
    process: u32,
}

/// The actors of a run as they are shown, for as long as this lives.
pub struct LiveActors {
    document: PathBuf,
    server: ServerHandle,
}

/// One actor.
struct LocalSubject {
    about: About,
    mailbox: ActorMailbox,
    observer: Arc<Observer>,
}

#[async_trait]
impl Subject for LocalSubject {
    fn about(&self) -> &About {
        &self.about
    }

    async fn view(&self) -> Option<View> {
        self.mailbox.view(VIEW_WITHIN).await
    }

    fn health(&self) -> Result<(), String> {
        Ok(())
    }

    fn snapshot(&self, after: u64) -> RunSnapshot {
        self.observer.snapshot(after)
    }

    fn link(&self) -> Option<&Link> {
        None
    }
}

impl LiveActors {
    /// Shows `actors` of a run. `image` is the height and width of a row of its data, where rows are images.
    ///
    /// # Errors
    /// When the system refuses a socket, or the document cannot be written.
    pub fn show(
        dir: &RunDir,
        graph: &Graph,
        image: Option<(usize, usize)>,
        actors: &[(Address, ActorMailbox)],
        observer: &Arc<Observer>,
    ) -> Result<Self, Error> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listener = listener.map_err(|error| {
            Error::Unusable(format!("failed to listen on the loopback address: {error}"))
        })?;
        let address = listener.local_addr();
        let port = address.map_or(0, |address| address.port());
        let place = Place {
            url: format!("http://127.0.0.1:{port}"),
            token: secrets::random()?,
            process: std::process::id(),
        };
        let access =
            Access::with_token(&place.token).map_err(|error| Error::Unusable(error.to_string()))?;
        let began = Instant::now();
        let subjects = actors.iter().map(|(address, mailbox)| {
            Arc::new(LocalSubject {
                about: About::new(graph, *address, image, began),
                mailbox: mailbox.clone(),
                observer: observer.clone(),
            }) as Arc<dyn Subject>
        });
        let server = inspect::serve_all(listener, subjects, access).map_err(|error| {
            Error::Unusable(format!("failed to serve the run's inspection: {error}"))
        })?;
        let document = dir.path().join(DOCUMENT);
        write(&document, &place)?;
        let handle = server.handle();
        actix_rt::spawn(server);
        Ok(Self {
            document,
            server: handle,
        })
    }

    /// The process that trains the run in a directory, if one does. Another one may have the run's lock for other
    /// reasons, and must not be stopped for them.
    ///
    /// # Errors
    /// When the document cannot be read.
    pub fn process(dir: &RunDir) -> Result<Option<u32>, Error> {
        let worker = dir.worker();
        let place: Option<Place> = dir.read_json(DOCUMENT)?;
        let process = place.map(|place| place.process);
        Ok(process.filter(|process| worker == Some(process.to_string())))
    }

    /// The inspection of an actor of the run in a directory, if a process shows them.
    ///
    /// # Errors
    /// When the document cannot be read.
    pub fn inspection(dir: &RunDir, actor: &str) -> Result<Option<Inspection>, Error> {
        // A process that was killed has left its document.
        if dir.worker().is_none() {
            return Ok(None);
        }
        let place: Option<Place> = dir.read_json(DOCUMENT)?;
        Ok(place.map(|place| {
            let base = format!("{}/actors/{actor}", place.url);
            Inspection::new(base, place.token)
        }))
    }
}

impl Drop for LiveActors {
    fn drop(&mut self) {
        // It leads nowhere from now on; where it cannot be removed, its reader finds out.
        let _ = fs::remove_file(&self.document);
        // Asked at once; nobody waits until it has stopped.
        drop(self.server.stop(false));
    }
}

/// Writes the document, whole or not at all, for its owner alone.
fn write(path: &PathBuf, place: &Place) -> Result<(), Error> {
    let temporary = path.with_extension("part");
    let write = || {
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&temporary)?;
        file.write_all(serde_json::to_string(place)?.as_bytes())?;
        fs::rename(&temporary, path)
    };
    write().map_err(|source| Error::File {
        what: "write",
        path: path.clone(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;
    use std::time::Duration;

    use cuttlefish_core::topology::spec::ImageSource;
    use cuttlefish_core::topology::{self, DataShape, Grouping};

    use super::*;

    #[test]
    fn nobody_listens_any_more_once_the_actors_are_gone() {
        let runs = tempfile::tempdir().unwrap();
        let dir = RunDir::new(runs.path(), "digits").unwrap();
        dir.create().unwrap();
        let document = topology::parse(include_str!("../../topology/digits.yaml"), &[]).unwrap();
        let dataset = crate::data::digits::load(&ImageSource::default()).unwrap();
        let graph = document.graph(&DataShape::from(&dataset), Grouping::WholeLayers);
        let graph = graph.unwrap();
        crate::block_on(async {
            let observer = Arc::new(Observer::new(Vec::new()));
            let live = LiveActors::show(&dir, &graph, None, &[], &observer).unwrap();
            let place: Place = dir.read_json(DOCUMENT).unwrap().unwrap();
            let address = place.url.strip_prefix("http://").unwrap().to_owned();
            TcpStream::connect(&address).unwrap();
            drop(live);
            let began = Instant::now();
            while TcpStream::connect(&address).is_ok() {
                assert!(began.elapsed() < Duration::from_secs(60), "it listens");
                actix_rt::time::sleep(Duration::from_millis(10)).await;
            }
        });
    }
}
