//! The door: who may ask, and the headers of every answer.
//!
//! A browser shows the token once, in the link that the command prints. It gets a cookie for it that no script can
//! read and no other site's page can make it send, and is led to the address without the token.

use actix_web::body::{self, BodySize, BoxBody, MessageBody};
use actix_web::cookie::{Cookie, SameSite};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::{Data, Query};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use cuttlefish_core::digest::sha256;

use super::problem::{PROBLEM_TYPE, Problem};
use crate::deploy::{self, secrets};
use crate::inspect::Access;
use crate::inspect::access::EmptyToken;
use crate::inspect::routes::protect;

/// Name of the cookie, but for the port: browsers send cookies of a host to all its ports.
pub const COOKIE: &str = "cuttlefish_console";

/// Characters of an address beyond which nobody reads it.
const MAX_ADDRESS: usize = 4096;

/// What pages may load: files, pictures and answers of this server.
const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
                              connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Those who are let in.
pub struct Door {
    access: Access,
    /// Value of a browser's cookie. Whoever reads it out of a browser does not have the token, which may be in use
    /// elsewhere.
    session: String,
    /// Browsers that have it.
    sessions: Access,
}

impl Door {
    /// A door for those who know the token, at any of these host names.
    ///
    /// # Errors
    /// When the token is empty.
    pub fn new(token: &str, names: &[String]) -> Result<Self, EmptyToken> {
        let session = sha256(format!("session of a Cuttlefish console\n{token}"));
        let access = Access::with_token(token)?;
        Ok(Self {
            access: names.iter().fold(access, |access, name| access.allow(name)),
            sessions: Access::with_token(&session)?,
            session,
        })
    }
}

/// A token that nobody can guess.
///
/// # Errors
/// When the system has no randomness.
pub fn random_token() -> Result<String, deploy::Error> {
    secrets::random()
}

/// Lets a request pass, or answers it with what is wrong with it.
///
/// # Errors
/// None of its own.
pub async fn admit(
    door: Data<Door>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let mut response = match check(&door, request.request()) {
        Ok(None) => next.call(request).await?.map_into_boxed_body(),
        Ok(Some(entry)) => request.into_response(entry),
        Err(problem) => request.into_response(problem.error_response()),
    };
    let status = response.status();
    let is_problem = response.headers().get(header::CONTENT_TYPE);
    let is_problem = is_problem.is_some_and(|kind| kind == PROBLEM_TYPE);
    if (status.is_client_error() || status.is_server_error()) && !is_problem {
        // The server's own, such as of a body that is too large.
        let detail = response.response().error().map(ToString::to_string);
        let detail = detail.unwrap_or_else(|| status.to_string());
        response = response.into_response(Problem::new(status, detail).error_response());
    }
    protect(response.headers_mut(), CONTENT_POLICY);
    // The server leaves a body out by itself, but would wait for the end of a stream.
    let is_head = response.request().method() == Method::HEAD;
    if is_head && response.response().body().size() == BodySize::Stream {
        response = response.map_body(|_, _| BoxBody::new(body::None::new()));
    }
    Ok(response)
}

/// An answer that lets a browser in, where the request is one for it.
fn check(door: &Door, request: &HttpRequest) -> Result<Option<HttpResponse>, Problem> {
    let headers = request.headers();
    door.access.check_sender(headers)?;
    let length = request.uri().path_and_query();
    if length.is_some_and(|address| address.as_str().len() > MAX_ADDRESS) {
        return Err(Problem::new(
            StatusCode::URI_TOO_LONG,
            format_args!("an address has at most {MAX_ADDRESS} characters here"),
        ));
    }
    let token = request
        .path()
        .eq("/")
        .then(|| token_of_query(request))
        .flatten();
    if let Some(token) = token {
        door.access.check_token(headers, Some(&token))?;
        let cookie = Cookie::build(cookie_name(headers), door.session.as_str())
            .path("/")
            .http_only(true)
            .same_site(SameSite::Strict)
            .finish();
        let entry = HttpResponse::SeeOther()
            .insert_header((header::LOCATION, "/"))
            .cookie(cookie)
            .finish();
        return Ok(Some(entry));
    }
    match request.cookie(&cookie_name(headers)) {
        Some(cookie) if !headers.contains_key(header::AUTHORIZATION) => {
            door.sessions.check_token(headers, Some(cookie.value()))?;
        }
        _ => door.access.check_token(headers, None)?,
    }
    // What a browser sends with a cookie and changes something comes from a page of ours, which says so.
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    if changes
        && headers.get(header::AUTHORIZATION).is_none()
        && !headers.contains_key(header::ORIGIN)
    {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "a request that changes something needs an Origin header, or the token in an Authorization header",
        ));
    }
    Ok(None)
}

/// Name of the cookie at the port that a browser has asked: where a container's port is published or a proxy is before
/// it, that is another one than ours.
fn cookie_name(headers: &HeaderMap) -> String {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let port = host
        .and_then(|host| host.rsplit_once(':'))
        .map(|(_, port)| port);
    match port.filter(|port| port.bytes().all(|byte| byte.is_ascii_digit())) {
        Some(port) => format!("{COOKIE}_{port}"),
        None => COOKIE.to_owned(),
    }
}

fn token_of_query(request: &HttpRequest) -> Option<String> {
    let query = Query::<Vec<(String, String)>>::from_query(request.query_string()).ok()?;
    let mut query = query.into_inner().into_iter();
    query.find_map(|(key, value)| (key == "token").then_some(value))
}
