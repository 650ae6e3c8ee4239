//! The REST API, version 1.
//!
//! | module | responsibility |
//! |---|---|
//! | `methods` | methods of an address, and what others are told |
//! | `info` | this console: version, targets, directories |
//! | `openapi` | the description of all of it |
//! | `datasets` | data sets: uploads and their preview |
//! | `topologies` | topology files: examples, checks, plans |
//! | `list` | all runs |
//! | `runs` | runs: create, stop, go on, remove |
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
mod list;
pub mod methods;
mod neurons;
mod openapi;
mod runs;
pub mod summary;
mod topologies;

use actix_web::error::JsonPayloadError;
use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};

use super::problem::Problem;
use methods::{get, resource};

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
        .service(resource("/info", [get().to(info::info)]))
        .service(resource("/openapi.json", [get().to(openapi::openapi)]))
        .configure(datasets::routes)
        .configure(topologies::routes)
        .configure(runs::routes)
        .configure(events::routes)
        .configure(neurons::routes)
        .configure(answers::routes);
    config.service(api);
}
