//! Which address answers what.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use cuttlefish_core::ids::Address;
use cuttlefish_core::view::View;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::metrics::{self, Measured};
use super::page::{self, Seen};
use super::problem::Problem;
use super::process::{Memory, Process};
use super::{About, Access, Subject, neurons};
use crate::transport::Link;

/// How long the machine may take to show itself, its turn included. A unit that computes a large
/// tick is no reason to wait longer: nobody is served while somebody waits.
pub const VIEW_WITHIN: Duration = Duration::from_secs(5);

/// Characters of an address beyond which nobody reads it.
const MAX_ADDRESS: usize = 2048;

/// Added to every answer. What is shown is nobody else's: it is neither kept, nor framed, nor
/// embedded by another server's page, and its address (with a token) is not passed on.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
];

/// What the answers are made from.
pub struct Served {
    pub(super) subject: Arc<dyn Subject>,
    access: Access,
    /// In seconds since 1970.
    started: f64,
    /// Held by whoever asks the machine: the mailbox is for messages, not for a crowd.
    asking: Mutex<()>,
}

/// What may stand behind the question mark.
#[derive(Deserialize)]
pub(super) struct Query {
    /// Who asks.
    token: Option<String>,
    /// How weights are wanted.
    #[serde(default)]
    pub(super) format: Format,
    /// The last note that is known already.
    #[serde(default)]
    after: u64,
    /// The first neuron on the page.
    from: Option<usize>,
}

/// How weights are written.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    #[default]
    Json,
    Npy,
    Png,
}

impl Served {
    /// Serves `subject` to those whom `access` admits.
    pub fn new(subject: Arc<dyn Subject>, access: Access) -> Self {
        let age = subject.about().started.elapsed();
        let started = SystemTime::now().checked_sub(age).unwrap_or(UNIX_EPOCH);
        let since_1970 = started.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            subject,
            access,
            started: since_1970.as_secs_f64(),
            asking: Mutex::default(),
        }
    }

    pub(super) fn about(&self) -> &About {
        self.subject.about()
    }

    /// What the machine shows now, when it is this question's turn.
    pub(super) async fn view(&self) -> Result<View, Problem> {
        let ask = async {
            let _turn = self.asking.lock().await;
            self.subject.view().await
        };
        let answer = tokio::time::timeout(VIEW_WITHIN, ask).await;
        answer.ok().flatten().ok_or(Problem::Unanswered {
            seconds: VIEW_WITHIN.as_secs(),
        })
    }
}

/// Every address.
pub fn routes(config: &mut ServiceConfig) {
    config
        .route("/", web::to(page))
        .route("/healthz", web::to(health))
        .route("/neurons", web::to(neurons::list))
        .route("/neurons/{neuron}", web::to(neurons::state))
        .route("/neurons/{neuron}/weights", web::to(neurons::weights))
        .route("/neurons/{neuron}/map", web::to(neurons::map))
        .route("/probabilities", web::to(neurons::probabilities))
        .route("/run", web::to(run))
        .route("/metrics", web::to(measure))
        .default_service(web::to(nothing));
}

/// Lets a request pass, or answers it with what is wrong with it.
///
/// # Errors
/// None of its own.
pub async fn admit(
    served: Data<Served>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let mut response = match check(&served, request.request()) {
        Ok(()) => next.call(request).await?.map_into_boxed_body(),
        Err(problem) => request.into_response(problem.error_response()),
    };
    for (name, value) in HEADERS {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

fn check(served: &Served, request: &HttpRequest) -> Result<(), Problem> {
    let headers = request.headers();
    served.access.check_sender(headers)?;
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Problem::Method);
    }
    if has_body(headers) {
        return Err(Problem::Body);
    }
    let length = request
        .uri()
        .path_and_query()
        .map_or(0, |a| a.as_str().len());
    if length > MAX_ADDRESS {
        return Err(Problem::TooLong { max: MAX_ADDRESS });
    }
    // Those who only want to know whether we live have no token to show.
    if request.path() == "/healthz" {
        return Ok(());
    }
    // Read by itself: what else is wrong with a query is told to those who may ask.
    let token = web::Query::<Vec<(String, String)>>::from_query(request.query_string());
    let mut token = token.map_or(Vec::new(), web::Query::into_inner).into_iter();
    let token = token.find_map(|(key, value)| (key == "token").then_some(value));
    served.access.check_token(headers, token.as_deref())
}

fn has_body(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH);
    length.is_some_and(|length| length != "0") || headers.contains_key(header::TRANSFER_ENCODING)
}

/// What stands behind the question mark.
pub(super) fn query(request: &HttpRequest) -> Result<Query, Problem> {
    let query = web::Query::<Query>::from_query(request.query_string());
    // What exactly is wrong is not said with the query's own words: a token may be among them.
    query.map(web::Query::into_inner).map_err(|_| Problem::Query {
        hint: "`format` is json, npy or png; `after` and `from` are numbers; each may come once",
    })
}

async fn nothing() -> Result<HttpResponse, Problem> {
    Err(Problem::NotFound)
}

async fn health(served: Data<Served>) -> Result<HttpResponse, Problem> {
    served.subject.health().map_err(Problem::Unhealthy)?;
    Ok(HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .body("ok\n"))
}

async fn page(served: Data<Served>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let query = query(&request)?;
    let view = served.view().await;
    let look = matches!(view, Ok(View::Trainer(_))).then(|| served.subject.snapshot(0));
    let link = served.subject.link().map(Link::view);
    let seen = Seen {
        about: served.about(),
        view: view.as_ref().map_err(ToString::to_string),
        look: look.as_ref(),
        link: link.as_ref(),
        health: served.subject.health(),
        memory: Memory::now(),
        token: query.token.as_deref(),
        from: query.from,
    };
    Ok(HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .body(page::render(&seen)))
}

async fn run(served: Data<Served>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    if served.about().address != Address::Trainer {
        return Err(Problem::NotTrainer {
            here: format!("`{}`", served.about().name),
        });
    }
    let look = served.subject.snapshot(query(&request)?.after);
    Ok(HttpResponse::Ok().json(look))
}

async fn measure(served: Data<Served>) -> HttpResponse {
    let view = served.view().await.ok();
    let look = served.subject.snapshot(0);
    let link = served.subject.link().map(Link::view);
    let text = metrics::render(&Measured {
        about: served.about(),
        view: view.as_ref(),
        look: &look,
        link: link.as_ref(),
        process: Process {
            started: served.started,
            memory: Memory::now(),
        },
    });
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(text)
}
