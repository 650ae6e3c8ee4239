//! The HTTP server of every unit, synapse and trainer: what people, scripts and Prometheus see of it.
//!
//! | module | responsibility |
//! |---|---|
//! | [`about`] | description of a machine, the same for as long as a machine runs |
//! | [`reading`] | a machine and its process at one moment |
//! | [`figures`] | figures of a neuron, for the page and the metrics |
//! | [`access`] | checks of a client: token, `Host`, `Origin` |
//! | [`routes`] | HTTP routes |
//! | [`neurons`] | single neurons as JSON, their weights as JSON, NumPy array or picture, their probabilities |
//! | [`problem`] | errors of requests, with their status |
//! | [`page`] | the page for people |
//! | [`array`] | numbers as NumPy's files |
//! | [`picture`] | weights as a heat map |
//! | [`metrics`] | the text that Prometheus reads |
//! | [`process`] | when the process began, and its memory |
//!
//! It only reads: `GET` and `HEAD`, no bodies, nothing that changes the machine. It must not hold
//! the machine up either, so at most one question at a time waits in the machine's mailbox,
//! however many clients ask. Tested over real sockets in `tests/it/inspect/`.

pub mod about;
pub mod access;
pub mod array;
pub mod figures;
pub mod metrics;
pub mod neurons;
pub mod page;
pub mod picture;
pub mod problem;
pub mod process;
pub mod reading;
pub mod routes;

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
pub use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use async_trait::async_trait;
use cuttlefish_core::view::View;

use crate::host::RunSnapshot;
use crate::transport::Link;

pub use about::About;
pub use access::Access;
use routes::{Inspection, Machines};

/// Connections at once; more wait until one is closed.
const MAX_CONNECTIONS: usize = 64;

/// From the first byte of a request to the last one of its head. A slower client is cut off.
const REQUEST_WITHIN: Duration = Duration::from_secs(5);

/// Time in which a client must take a byte of its answers. Sixty-four that ask on and on, and read
/// nothing, would shut everybody else out.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// Time that a connection may be idle between two requests.
const IDLE_WITHIN: Duration = Duration::from_secs(15);

/// Time that a client may take to close its side of a connection.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// Time that a stop waits for answers that are under way.
const STOP_WITHIN: Duration = Duration::from_secs(1);

/// Machine that a server shows.
#[async_trait]
pub trait Subject: Send + Sync {
    /// Its description, which stays the same.
    fn about(&self) -> &About;

    /// View of the machine now; `None` if it does not answer. The server stops
    /// waiting after [`routes::VIEW_WITHIN`].
    async fn view(&self) -> Option<View>;

    /// Health of the machine, or what is wrong. The text is shown to everybody, so it must hold no
    /// secret.
    ///
    /// # Errors
    /// Problem, in words for people.
    fn health(&self) -> Result<(), String>;

    /// Snapshot of the run, with the notes after number `after`. Only a trainer's shows much.
    fn snapshot(&self, after: u64) -> RunSnapshot;

    /// The link to the broker; `None` where messages stay in the process.
    fn link(&self) -> Option<&Link>;
}

/// Serves `subject` on a socket that is bound already, to those whom `access` admits. The server
/// runs for as long as the future that is returned is polled; it takes no signals.
///
/// # Errors
/// When the socket cannot be used.
pub fn serve(
    listener: TcpListener,
    subject: Arc<dyn Subject>,
    access: Access,
) -> io::Result<Server> {
    serve_machines(
        listener,
        Machines::Only(Arc::new(Inspection::new(subject))),
        access,
    )
}

/// Serves all machines of a process, as [`serve`] does one: each below `/actors/` and its name.
///
/// # Errors
/// When the socket cannot be used.
pub fn serve_all(
    listener: TcpListener,
    subjects: impl IntoIterator<Item = Arc<dyn Subject>>,
    access: Access,
) -> io::Result<Server> {
    let by_name = |subject: Arc<dyn Subject>| {
        let name = subject.about().name.clone();
        (name, Arc::new(Inspection::new(subject)))
    };
    let machines = subjects.into_iter().map(by_name).collect();
    serve_machines(listener, Machines::All(machines), access)
}

fn serve_machines(listener: TcpListener, machines: Machines, access: Access) -> io::Result<Server> {
    cut_off_who_does_not_read(&listener, READ_WITHIN)?;
    let root = match machines {
        Machines::Only(_) => "",
        Machines::All(_) => "/actors/{actor}",
    };
    let (machines, access) = (web::Data::new(machines), web::Data::new(access));
    let app = move || {
        App::new()
            .app_data(machines.clone())
            .app_data(access.clone())
            .wrap(from_fn(routes::admit))
            .service(web::scope(root).configure(routes::routes))
            .default_service(web::to(routes::nothing))
    };
    let server = HttpServer::new(app)
        .workers(1)
        // Nothing here blocks; the threads would only cost memory in every container.
        .worker_max_blocking_threads(1)
        .max_connections(MAX_CONNECTIONS)
        .client_request_timeout(REQUEST_WITHIN)
        .keep_alive(IDLE_WITHIN)
        .client_disconnect_timeout(CLOSE_WITHIN)
        .shutdown_timeout(STOP_WITHIN.as_secs())
        .disable_signals()
        .listen(listener)?;
    Ok(server.run())
}

/// Cuts off clients of a server that take no byte of their answers for so long. The HTTP server does
/// not notice; the kernel does, and its connections inherit it from this socket. Elsewhere than on
/// Linux, where containers run, such clients keep their connection.
///
/// # Errors
/// When the system refuses.
pub fn cut_off_who_does_not_read(listener: &TcpListener, within: Duration) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(listener).set_tcp_user_timeout(Some(within))?;
    #[cfg(not(target_os = "linux"))]
    let _ = (listener, within);
    Ok(())
}
