//! Answers of the API that are none: problem documents (RFC 9457) with the texts of the command line.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpResponse, ResponseError};
use cuttlefish_core::topology::Problems;
use cuttlefish_core::topology::problem::Place;
use schemars::JsonSchema;
use serde::Serialize;

use crate::inspect::problem::RequestProblem;
use crate::run::Error;
use crate::{deploy, run_dir, store};

/// Media type of problem documents.
pub const PROBLEM_TYPE: &str = "application/problem+json";

/// Body of a problem document.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    #[serde(serialize_with = "number")]
    #[schemars(with = "u16")]
    status: StatusCode,
    detail: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    problems: Vec<FileProblem>,
    /// Header with the methods of the address, or with the time of another try.
    #[serde(skip)]
    header: Option<Box<(HeaderName, HeaderValue)>>,
}

/// A problem of a topology file.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct FileProblem {
    /// Line, from 1; None where it is about what is not in the text.
    pub line: Option<usize>,
    /// Column in characters, from 1.
    pub column: Option<usize>,
    /// Path of the value that it is about.
    pub path: String,
    /// Description.
    pub message: String,
    /// Advice.
    pub help: Option<String>,
}

fn number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

/// The problems of a file, one by one.
pub fn file_problems(problems: &Problems) -> Vec<FileProblem> {
    let one = |problem: &cuttlefish_core::topology::problem::Problem| {
        let (line, column) = match problem.place {
            Place::Text { line, column } => (Some(line), Some(column)),
            Place::Override(_) => (None, None),
        };
        FileProblem {
            line,
            column,
            path: problem.path.clone(),
            message: problem.message.clone(),
            help: problem.help.clone(),
        }
    };
    problems.iter().map(one).collect()
}

impl Problem {
    /// A problem of this status.
    pub fn new(status: StatusCode, detail: impl fmt::Display) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status,
            detail: detail.to_string(),
            problems: Vec::new(),
            header: None,
        }
    }

    /// A method that is none of those of an address.
    pub fn method(method: &Method, allowed: Option<HeaderValue>) -> Self {
        Self {
            header: allowed.map(|allowed| Box::new((header::ALLOW, allowed))),
            ..Self::new(
                StatusCode::METHOD_NOT_ALLOWED,
                format_args!("`{method}` is none of the methods of this address"),
            )
        }
    }

    /// Too much at once, of which there may be less after this time.
    pub fn too_much(detail: impl fmt::Display, after: Duration) -> Self {
        Self {
            header: Some(Box::new((header::RETRY_AFTER, after.as_secs().into()))),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
        }
    }

    /// A request that cannot be understood.
    pub fn bad_request(detail: impl fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// Something that is not there.
    pub fn not_found(detail: impl fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// A state in which that cannot be done.
    pub fn conflict(detail: impl fmt::Display) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// A content that cannot be used.
    pub fn unprocessable(detail: impl fmt::Display) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    /// Calls a file by another name.
    pub fn rename(&mut self, path: &Path, name: &str) {
        let path = path.display();
        self.detail = self.detail.replace(&format!("`{path}`"), name);
        self.detail = self.detail.replace(&path.to_string(), name);
    }

    /// Text of the problem.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        if let Some(header) = &self.header {
            response.insert_header((**header).clone());
        }
        let body = serde_json::to_string(self).unwrap_or_default();
        response.content_type(PROBLEM_TYPE).body(body)
    }
}

impl From<RequestProblem> for Problem {
    fn from(problem: RequestProblem) -> Self {
        Self::new(problem.status_code(), problem)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let mut problem = Self::new(status_of(&error), &error);
        if let Error::Topology { problems, .. } | Error::Overrides { problems, .. } = &error {
            problem.problems = file_problems(problems);
        }
        problem
    }
}

impl From<deploy::Error> for Problem {
    fn from(error: deploy::Error) -> Self {
        Error::from(error).into()
    }
}

impl From<run_dir::Error> for Problem {
    fn from(error: run_dir::Error) -> Self {
        Error::from(error).into()
    }
}

fn status_of(error: &Error) -> StatusCode {
    match error {
        Error::Unreadable(_)
        | Error::NotUtf8 { .. }
        | Error::Topology { .. }
        | Error::Overrides { .. }
        | Error::Unfit(_)
        | Error::Data(_)
        | Error::DataChanged(_)
        | Error::NoRows { .. }
        | Error::Features { .. }
        | Error::Weights { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Error::Change(_) | Error::OtherTarget { .. } | Error::ChangedMeanwhile(_) => {
            StatusCode::CONFLICT
        }
        Error::Directory(run_dir::Error::Unknown { .. }) | Error::NoSample { .. } => {
            StatusCode::NOT_FOUND
        }
        Error::Directory(run_dir::Error::Name { .. }) => StatusCode::UNPROCESSABLE_ENTITY,
        Error::Directory(run_dir::Error::Io { .. }) => StatusCode::INTERNAL_SERVER_ERROR,
        Error::Directory(_) | Error::Store(store::Error::Locked { .. }) => StatusCode::CONFLICT,
        Error::Target(deploy::Error::NotUp { .. } | deploy::Error::TakenDown { .. }) => {
            StatusCode::NOT_FOUND
        }
        Error::Target(deploy::Error::Unsupported { .. } | deploy::Error::NothingCommitted) => {
            StatusCode::CONFLICT
        }
        Error::Remains { error, .. } => status_of(error),
        // Docker, broker, AWS: somebody else's service does not answer, or refuses.
        Error::Target(_) | Error::Store(_) | Error::StoreLost { .. } => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        Error::Fault(_)
        | Error::Export(_)
        | Error::Corrupt(_)
        | Error::Cancelled { .. }
        | Error::Left { .. } => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
