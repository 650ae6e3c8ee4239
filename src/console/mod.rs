//! The web console, and the REST API that it is made of.
//!
//! | module | responsibility |
//! |---|---|
//! | `door` | who may ask: token, `Host`, `Origin`; headers of every answer |
//! | `pages` | the console's files, which are part of the program |
//! | [`api`] | the REST API: a module a subject |
//! | [`problem`] | answers that are none, as problem documents |
//! | `commands` | commands that train runs, started here and alive without this process |
//! | `watch` | one watcher a run, for all who read its events |
//! | `uploads` | data sets that people brought |
//!
//! Whatever can be done here is a use case of [`crate::run`]: this only translates. Nothing is kept in memory that
//! is needed again after this process was killed: a run trains in a process or in containers of its own, and is
//! found by its directory.

pub mod api;
mod commands;
mod door;
mod pages;
pub mod problem;
mod uploads;
mod watch;

use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};

use crate::config::Config;
use crate::deploy::docker::DockerOptions;
use crate::inspect::cut_off_who_does_not_read;
use crate::run::Error;
use api::figures::FigureCache;
use commands::Commands;
use door::Door;
pub use door::random_token;
use problem::Problem;
use tokio::sync::Semaphore;
use watch::Watchers;

/// Connections at once; more wait until one is closed.
const MAX_CONNECTIONS: usize = 256;
/// Event streams at once, of all runs.
const MAX_STREAMS: usize = 200;
/// Requests at once that read a data set or compute with a network, each with what it has in memory.
const MAX_COMPUTING: usize = 4;
/// Such requests that are taken at once; those beyond [`MAX_COMPUTING`] wait for their turn.
const MAX_TAKEN: usize = 16;
/// Time after which those that were not taken may ask again.
const COME_BACK_AFTER: Duration = Duration::from_secs(5);
/// Time from the first byte of a request to the last one of its head. A slower client is cut off.
const REQUEST_WITHIN: Duration = Duration::from_secs(5);
/// Time in which a client must take a byte of its answers: those that ask and read nothing would shut others out.
const READ_WITHIN: Duration = Duration::from_secs(30);
/// Time that a connection may be idle between two requests.
const IDLE_WITHIN: Duration = Duration::from_secs(15);
/// Time that a stop waits for answers that are under way.
const STOP_WITHIN: u64 = 1;
/// The largest body but for uploads: a topology file has at most 1 MiB, a row to answer less.
const MAX_BODY: usize = 4 << 20;

/// Services of runs on Docker; the argument says whether the run is up already.
pub type Services = Arc<dyn Fn(bool) -> Result<DockerOptions, Error> + Send + Sync>;

/// Options of a console.
pub struct Options {
    /// Directories of runs and data sets.
    pub config: Config,
    /// Services of runs in containers.
    pub services: Services,
    /// The program that trains a run: this one.
    pub program: PathBuf,
    /// The token of those who may ask.
    pub token: String,
    /// Host names that it answers for beside `localhost`.
    pub names: Vec<String>,
    /// The largest upload, in bytes.
    pub max_upload: u64,
}

/// The console, as every request sees it.
pub struct Console {
    config: Config,
    services: Services,
    commands: Arc<Commands>,
    watchers: Watchers,
    figures: FigureCache,
    /// Places of event streams.
    streams: Arc<Semaphore>,
    /// Places of requests that compute, and of those that wait for that.
    computing: Arc<Semaphore>,
    taken: Arc<Semaphore>,
    max_upload: u64,
}

/// Serves a console on a socket that is bound already. The server runs for as long as the future that is returned
/// is polled; it takes no signals.
///
/// # Errors
/// When the socket cannot be used, or the token is empty.
pub fn serve(listener: TcpListener, options: Options) -> io::Result<Server> {
    cut_off_who_does_not_read(&listener, READ_WITHIN)?;
    let door = Door::new(&options.token, &options.names).map_err(io::Error::other)?;
    let door = web::Data::new(door);
    let console = web::Data::new(Console {
        commands: Arc::new(Commands::new(options.program, options.config.clone())),
        watchers: Watchers::default(),
        figures: FigureCache::default(),
        streams: Arc::new(Semaphore::new(MAX_STREAMS)),
        computing: Arc::new(Semaphore::new(MAX_COMPUTING)),
        taken: Arc::new(Semaphore::new(MAX_TAKEN)),
        config: options.config,
        services: options.services,
        max_upload: options.max_upload,
    });
    let app = move || {
        App::new()
            .app_data(console.clone())
            .app_data(door.clone())
            .app_data(web::PayloadConfig::new(MAX_BODY))
            .wrap(from_fn(door::admit))
            .configure(api::routes)
            .configure(pages::routes)
    };
    let server = HttpServer::new(app)
        .workers(2)
        .max_connections(MAX_CONNECTIONS)
        .client_request_timeout(REQUEST_WITHIN)
        .keep_alive(IDLE_WITHIN)
        .shutdown_timeout(STOP_WITHIN)
        .disable_signals()
        .listen(listener)?;
    Ok(server.run())
}

impl Console {
    /// Does something with runs on a thread of its own: it may compute, and wait for a disk or for Docker.
    ///
    /// # Errors
    /// That of the work.
    async fn apart<T, F, W>(&self, work: W) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Problem>>,
        W: FnOnce(Config) -> F + Send + 'static,
    {
        let config = self.config.clone();
        let done = web::block(move || crate::block_on(work(config))).await;
        done.map_err(|error| {
            Problem::new(actix_web::http::StatusCode::INTERNAL_SERVER_ERROR, error)
        })?
    }

    /// The same for what may take long or much memory: a few at once.
    ///
    /// # Errors
    /// That of the work, or that there is too much of it already.
    async fn computing<T, F, W>(&self, work: W) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Problem>>,
        W: FnOnce(Config) -> F + Send + 'static,
    {
        let place = self.taken.clone().try_acquire_owned().map_err(|_| {
            Problem::too_much(
                format_args!(
                    "{MAX_TAKEN} requests that compute are under way (try again when one has ended)"
                ),
                COME_BACK_AFTER,
            )
        })?;
        let computing = self.computing.clone();
        // It goes on when its client has left, and keeps its places.
        self.apart(async move |config| {
            let _place = place;
            let _turn = computing.acquire().await;
            work(config).await
        })
        .await
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_cuts_off_who_does_not_read() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = listener.try_clone().unwrap();
        let options = Options {
            config: Config::in_directory("none"),
            services: Arc::new(|_| unreachable!("nobody asks")),
            program: PathBuf::new(),
            token: "token".to_owned(),
            names: Vec::new(),
            max_upload: 0,
        };
        crate::block_on(async { drop(serve(listener, options).unwrap()) });
        let within = socket2::SockRef::from(&socket).tcp_user_timeout();
        assert_eq!(within.unwrap(), Some(READ_WITHIN));
    }
}
