//! The REST API, version 1.
//!
//! | module | responsibility |
//! |---|---|
//! | `info` | this console: version, targets, directories |
//! | `openapi` | the description of all of it |
//! | `datasets` | data sets: uploads and their preview |
//! | `topologies` | topology files: examples, checks, plans |
//! | `runs` | runs: create, list, stop, go on, remove |
//! | `summary` | a run as the API shows it |
//! | `events` | what happens to a run, as a stream |
//! | `figures` | figures of all neurons of a run |
//! | `neurons` | actors and neurons of a run |
//! | `answers` | evaluation, predictions, responses, weights as files |

mod answers;
mod datasets;
mod events;
pub mod figures;
mod info;
mod neurons;
mod openapi;
mod runs;
pub mod summary;
mod topologies;

use actix_web::error::JsonPayloadError;
use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Resource};

use super::problem::Problem;

/// The most bytes of a JSON body.
const MAX_JSON: usize = 4 << 20;

/// Every address of the API.
pub fn routes(config: &mut ServiceConfig) {
    let json = web::JsonConfig::default()
        .limit(MAX_JSON)
        .error_handler(|error, _| {
            let status = match &error {
                JsonPayloadError::Overflow { .. }
                | JsonPayloadError::OverflowKnownLength { .. } => StatusCode::PAYLOAD_TOO_LARGE,
                JsonPayloadError::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
                _ => StatusCode::BAD_REQUEST,
            };
            Problem::new(status, error).into()
        });
    let query =
        web::QueryConfig::default().error_handler(|error, _| Problem::bad_request(error).into());
    let path =
        web::PathConfig::default().error_handler(|error, _| Problem::not_found(error).into());
    let api = web::scope("/api/v1")
        .app_data(json)
        .app_data(query)
        .app_data(path)
        .service(resource("/info").route(web::get().to(info::info)))
        .service(resource("/openapi.json").route(web::get().to(openapi::openapi)))
        .configure(datasets::routes)
        .configure(topologies::routes)
        .configure(runs::routes)
        .configure(events::routes)
        .configure(neurons::routes)
        .configure(answers::routes);
    config.service(api);
}

/// Resource at an address: other methods than its own are refused.
fn resource(path: &str) -> Resource {
    web::resource(path).default_service(web::to(other_method))
}

async fn other_method(request: HttpRequest) -> Result<HttpResponse, Problem> {
    Err(Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format_args!(
            "`{}` is none of the methods of this address",
            request.method()
        ),
    ))
}
