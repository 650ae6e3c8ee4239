//! The door: who may ask, and the headers of every answer.
//!
//! A browser shows the token once, in the link that the command prints. It gets a cookie for it that no script can
//! read and no other site's page can make it send, and is led to the address without the token.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::cookie::{Cookie, SameSite};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::{Data, Query};
use actix_web::{HttpRequest, HttpResponse, ResponseError};

use super::problem::{PROBLEM_TYPE, Problem};
use crate::deploy::{self, secrets};
use crate::inspect::Access;

const COOKIE: &str = "cuttlefish_console";

/// Characters of an address beyond which nobody reads it.
const MAX_ADDRESS: usize = 4096;

/// Added to every answer.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
         connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
];

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
    access: Data<Access>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let mut response = match check(&access, request.request()) {
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
    for (name, value) in HEADERS {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

/// An answer that lets a browser in, where the request is one for it.
fn check(access: &Access, request: &HttpRequest) -> Result<Option<HttpResponse>, Problem> {
    let headers = request.headers();
    access.check_sender(headers)?;
    let length = request.uri().path_and_query();
    if length.is_some_and(|address| address.as_str().len() > MAX_ADDRESS) {
        return Err(Problem::new(
            StatusCode::URI_TOO_LONG,
            format_args!("an address has at most {MAX_ADDRESS} characters here"),
        ));
    }
    let cookie = request.cookie(COOKIE);
    let token = request
        .path()
        .eq("/")
        .then(|| token_of_query(request))
        .flatten();
    if let Some(token) = token {
        access.check_token(headers, Some(&token))?;
        let cookie = Cookie::build(COOKIE, token)
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
    access.check_token(headers, cookie.as_ref().map(Cookie::value))?;
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

fn token_of_query(request: &HttpRequest) -> Option<String> {
    let query = Query::<Vec<(String, String)>>::from_query(request.query_string()).ok()?;
    let mut query = query.into_inner().into_iter();
    query.find_map(|(key, value)| (key == "token").then_some(value))
}
