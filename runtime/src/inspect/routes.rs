//! HTTP routes, and what every request and answer must keep to.

use std::collections::HashMap;
use std::future::{Ready, ready};
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{FromRequest, HttpRequest, HttpResponse, ResponseError};
use cuttlefish_core::ids::Address;
use cuttlefish_core::view::View;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::metrics;
use super::page::Page;
use super::problem::RequestProblem;
use super::process::{Process, ProcessMemory};
use super::reading::Reading;
use super::{About, Access, Subject, neurons};
use crate::transport::Link;

/// Time that the machine may take to answer, its turn included. A unit that computes a large
/// tick is no reason to wait longer: nobody is served while somebody waits.
pub const VIEW_WITHIN: Duration = Duration::from_secs(5);

/// Characters of an address beyond which nobody reads it.
const MAX_ADDRESS: usize = 2048;

/// Added to every answer. What is shown is nobody else's: it is neither kept, nor framed, nor
/// embedded by another server's page, and its address (with a token) is not passed on.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
];

/// What a page may load: its own pictures.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; \
                              base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The inspection of one machine, which all answers about it are made from.
pub struct Inspection {
    pub(super) subject: Arc<dyn Subject>,
    /// In seconds since 1970.
    started: f64,
    /// Held by whoever asks the machine: the mailbox is for messages, not for a crowd.
    asking: Mutex<()>,
}

/// Query of an address.
#[derive(Deserialize)]
pub(super) struct Query {
    /// Token of the one who asks.
    token: Option<String>,
    /// Form of numbers.
    #[serde(default)]
    pub(super) format: WeightsFormat,
    /// The last note that is known already.
    #[serde(default)]
    after: u64,
    /// The first neuron on the page.
    from: Option<usize>,
}

/// Form of numbers in an answer.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum WeightsFormat {
    #[default]
    Json,
    Npy,
    Png,
}

impl Inspection {
    /// The inspection of `subject`.
    pub fn new(subject: Arc<dyn Subject>) -> Self {
        let age = subject.about().started.elapsed();
        let started = SystemTime::now().checked_sub(age).unwrap_or(UNIX_EPOCH);
        let since_1970 = started.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            subject,
            started: since_1970.as_secs_f64(),
            asking: Mutex::default(),
        }
    }

    pub(super) fn about(&self) -> &About {
        self.subject.about()
    }

    /// Reading of the machine and its process now.
    async fn read(&self) -> Reading<'_> {
        let view = self.view().await;
        Reading {
            about: self.about(),
            view: view.map_err(|problem| problem.to_string()),
            snapshot: self.subject.snapshot(0),
            link: self.subject.link().map(Link::view),
            health: self.subject.health(),
            process: Process {
                started: self.started,
                memory: ProcessMemory::now(),
            },
        }
    }

    /// View of the machine now, when it is this question's turn.
    pub(super) async fn view(&self) -> Result<View, RequestProblem> {
        let ask = async {
            let _turn = self.asking.lock().await;
            self.subject.view().await
        };
        let answer = tokio::time::timeout(VIEW_WITHIN, ask).await;
        answer.ok().flatten().ok_or(RequestProblem::Unanswered {
            seconds: VIEW_WITHIN.as_secs(),
        })
    }
}

/// The machines that a server shows.
pub enum Machines {
    /// The one of this process.
    Only(Arc<Inspection>),
    /// All of a run, by name.
    All(HashMap<String, Arc<Inspection>>),
}

/// The inspection of the machine that a request is about.
pub struct Inspected(Arc<Inspection>);

impl Deref for Inspected {
    type Target = Inspection;

    fn deref(&self) -> &Inspection {
        &self.0
    }
}

impl FromRequest for Inspected {
    type Error = RequestProblem;
    type Future = Ready<Result<Self, RequestProblem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let machine = match request.app_data::<Data<Machines>>().map(|data| &***data) {
            Some(Machines::Only(machine)) => Some(machine),
            Some(Machines::All(machines)) => request
                .match_info()
                .get("actor")
                .and_then(|actor| machines.get(actor)),
            None => None,
        };
        ready(machine.cloned().map(Self).ok_or(RequestProblem::NotFound))
    }
}

/// Every address of a machine.
pub fn routes(config: &mut ServiceConfig) {
    config
        .route("/", web::to(page))
        .route("/healthz", web::to(health))
        .route("/neurons", web::to(neurons::list))
        .route("/figures", web::to(neurons::figures))
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
    access: Data<Access>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let mut response = match check(&access, request.request()) {
        Ok(()) => next.call(request).await?.map_into_boxed_body(),
        Err(problem) => request.into_response(problem.error_response()),
    };
    protect(response.headers_mut(), CONTENT_POLICY);
    Ok(response)
}

/// Adds what every answer has, with the policy of what its pages may load.
pub fn protect(headers: &mut HeaderMap, content_policy: &'static str) {
    let policy = (header::CONTENT_SECURITY_POLICY, content_policy);
    for (name, value) in HEADERS.into_iter().chain([policy]) {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

fn check(access: &Access, request: &HttpRequest) -> Result<(), RequestProblem> {
    let headers = request.headers();
    access.check_sender(headers)?;
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(RequestProblem::Method);
    }
    if has_body(headers) {
        return Err(RequestProblem::Body);
    }
    let length = request
        .uri()
        .path_and_query()
        .map_or(0, |a| a.as_str().len());
    if length > MAX_ADDRESS {
        return Err(RequestProblem::TooLong { max: MAX_ADDRESS });
    }
    // A client that only wants to know whether we live has no token to show.
    if request.path() == "/healthz" {
        return Ok(());
    }
    // Read by itself: what else is wrong with a query is told to those who may ask.
    let token = web::Query::<Vec<(String, String)>>::from_query(request.query_string());
    let mut token = token.map_or(Vec::new(), web::Query::into_inner).into_iter();
    let token = token.find_map(|(key, value)| (key == "token").then_some(value));
    access.check_token(headers, token.as_deref())
}

fn has_body(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH);
    length.is_some_and(|length| length != "0") || headers.contains_key(header::TRANSFER_ENCODING)
}

/// Query of a request's address.
pub(super) fn query(request: &HttpRequest) -> Result<Query, RequestProblem> {
    let query = web::Query::<Query>::from_query(request.query_string());
    // The problem is not told with the query's own words: a token may be among them.
    query.map(web::Query::into_inner).map_err(|_| RequestProblem::Query {
        hint: "`format` is json, npy or png; `after` and `from` are numbers; each may come once",
    })
}

/// Answer at every other address.
///
/// # Errors
/// Always.
pub(super) async fn nothing() -> Result<HttpResponse, RequestProblem> {
    Err(RequestProblem::NotFound)
}

async fn health(inspection: Inspected) -> Result<HttpResponse, RequestProblem> {
    inspection
        .subject
        .health()
        .map_err(RequestProblem::Unhealthy)?;
    Ok(HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .body("ok\n"))
}

async fn page(inspection: Inspected, request: HttpRequest) -> Result<HttpResponse, RequestProblem> {
    let query = query(&request)?;
    let page = Page {
        reading: &inspection.read().await,
        token: query.token.as_deref(),
        from: query.from,
    };
    Ok(HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .body(page.render()))
}

async fn run(inspection: Inspected, request: HttpRequest) -> Result<HttpResponse, RequestProblem> {
    if inspection.about().address != Address::Trainer {
        return Err(RequestProblem::NotTrainer {
            here: format!("`{}`", inspection.about().name),
        });
    }
    let snapshot = inspection.subject.snapshot(query(&request)?.after);
    Ok(HttpResponse::Ok().json(snapshot))
}

async fn measure(inspection: Inspected) -> HttpResponse {
    let text = metrics::render(&inspection.read().await);
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(text)
}
