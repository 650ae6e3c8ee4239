//! The embedded DynamoDB over HTTP, for the containers of a host: `cuttlefish store`.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::StatusCode;
use actix_web::http::header::AUTHORIZATION;
use actix_web::web::{self, Bytes, Data, PayloadConfig};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use dynoxide::Database;
use sha2::{Digest, Sha256};

use super::Error;
use super::embedded;
use super::in_process::{CONTENT_TYPE, TARGET_HEADER};

/// DynamoDB's own limit for a request.
const MAX_REQUEST: usize = 16 << 20;

/// The database serialises writes, so that more threads would only wait.
const WORKERS: usize = 2;

/// Requests that the database works on at once, in threads of their own.
const BLOCKING_THREADS: usize = 8;

/// Clients keep their connections; a run's units write every few seconds.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Database that a worker serves, and the key that opens it.
struct StoreServer {
    database: std::sync::Arc<Database>,
    /// SHA-256 of the access key that requests must be signed with; any will do without.
    access_key: Option<[u8; 32]>,
}

/// Serves the database in `path`, created unless it exists. With an access key, requests that are
/// signed for another one are refused: the key is a random secret, the signature is not computed
/// again.
///
/// # Errors
/// When the file cannot be opened, or the listener not be used.
pub fn serve(
    listener: TcpListener,
    path: &Path,
    access_key: Option<&str>,
) -> Result<Server, Error> {
    let service = Data::new(StoreServer {
        database: embedded::database(path)?,
        access_key: access_key.map(|key| Sha256::digest(key).into()),
    });
    let failed = |source: std::io::Error| Error::Unopenable {
        path: path.to_owned(),
        source: source.into(),
    };
    let server = HttpServer::new(move || {
        App::new()
            .app_data(service.clone())
            .app_data(PayloadConfig::new(MAX_REQUEST))
            .route("/healthz", web::get().to(async || "ok\n"))
            .route("/", web::post().to(request))
    })
    .workers(WORKERS)
    .worker_max_blocking_threads(BLOCKING_THREADS)
    .keep_alive(KEEP_ALIVE)
    .client_request_timeout(Duration::from_secs(10))
    .listen(listener)
    .map_err(failed)?;
    Ok(server.run())
}

async fn request(http: HttpRequest, body: Bytes, service: Data<StoreServer>) -> HttpResponse {
    if !is_signed_for(&http, service.access_key.as_ref()) {
        let problem = r#"{"__type":"com.amazonaws.dynamodb.v20120810#UnrecognizedClientException","message":"the access key is not this store's"}"#;
        return HttpResponse::BadRequest()
            .content_type(CONTENT_TYPE)
            .body(problem);
    }
    let target = http
        .headers()
        .get(TARGET_HEADER)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    // The database blocks: on its lock, on the disk.
    let answer = web::block(move || embedded::answer_to(&service.database, &target, &body)).await;
    match answer {
        Ok((status, json)) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            HttpResponse::build(status)
                .content_type(CONTENT_TYPE)
                .body(json)
        }
        Err(_) => HttpResponse::ServiceUnavailable().finish(),
    }
}

/// True when the signature names the right access key. Digests are compared, so that the time taken
/// says nothing about the key.
fn is_signed_for(http: &HttpRequest, access_key: Option<&[u8; 32]>) -> bool {
    let Some(expected) = access_key else {
        return true;
    };
    let header = http.headers().get(AUTHORIZATION);
    let key = header
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once("Credential="))
        .and_then(|(_, rest)| rest.split_once('/'))
        .map_or("", |(key, _)| key);
    Sha256::digest(key).as_slice() == expected
}
