//! The console's files, which are part of the program.

use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};

use super::api::methods::{get, resource};
use super::problem::Problem;
use crate::inspect::page::THEME;

/// A file: its address, its media type and its content.
type Asset = (&'static str, &'static str, &'static str);

const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! script {
    ($name:literal) => {
        (
            concat!("/assets/", $name),
            SCRIPT,
            include_str!(concat!("web/", $name)),
        )
    };
}

const ASSETS: &[Asset] = &[
    (
        "/",
        "text/html; charset=utf-8",
        include_str!("web/index.html"),
    ),
    (
        "/assets/icon.svg",
        "image/svg+xml",
        include_str!("web/icon.svg"),
    ),
    ("/assets/theme.css", "text/css; charset=utf-8", THEME),
    (
        "/assets/parts.css",
        "text/css; charset=utf-8",
        include_str!("web/parts.css"),
    ),
    (
        "/assets/style.css",
        "text/css; charset=utf-8",
        include_str!("web/style.css"),
    ),
    script!("api.js"),
    script!("begun.js"),
    script!("cells.js"),
    script!("completion.js"),
    script!("confusion.js"),
    script!("curves.js"),
    script!("datasets.js"),
    script!("dom.js"),
    script!("editor.js"),
    script!("evaluate.js"),
    script!("figures.js"),
    script!("form.js"),
    script!("format.js"),
    script!("layers.js"),
    script!("layout.js"),
    script!("life.js"),
    script!("main.js"),
    script!("network.js"),
    script!("neuron.js"),
    script!("new.js"),
    script!("palette.js"),
    script!("pencil.js"),
    script!("place.js"),
    script!("plan.js"),
    script!("predict.js"),
    script!("run.js"),
    script!("runparts.js"),
    script!("runs.js"),
    script!("sample.js"),
    script!("schema.js"),
    script!("starter.js"),
    script!("table.js"),
    script!("upload.js"),
];

/// Every address of a file; nothing is at any other.
pub fn routes(config: &mut ServiceConfig) {
    for (address, ..) in ASSETS {
        config.service(resource(address, [get().to(asset)]));
    }
    config.default_service(web::to(nothing));
}

async fn asset(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let found = ASSETS
        .iter()
        .find(|(address, ..)| *address == request.path());
    let Some((_, media_type, content)) = found else {
        return nothing().await;
    };
    Ok(HttpResponse::Ok().content_type(*media_type).body(*content))
}

async fn nothing() -> Result<HttpResponse, Problem> {
    Err(Problem::new(
        StatusCode::NOT_FOUND,
        "there is nothing at this address (the API is below /api/v1)",
    ))
}
