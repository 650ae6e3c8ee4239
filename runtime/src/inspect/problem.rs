//! Every answer that is no answer: what it says and with which status. One line of plain text.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use cuttlefish_core::view::UnitState;

/// Reason why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestProblem {
    /// No such address.
    #[error("there is nothing at this address (try /, /neurons, /metrics or /healthz)")]
    NotFound,
    /// A neuron that is somewhere else, or nowhere.
    #[error("neuron `{neuron}` is not hosted here (this is {here})")]
    NotHosted {
        /// The neuron that was asked for.
        neuron: String,
        /// Description of this unit.
        here: String,
    },
    /// Only the trainer knows that.
    #[error("only the trainer knows the run (this is {here})")]
    NotTrainer {
        /// Description of this machine.
        here: String,
    },
    /// A request that needs weights.
    #[error("there are no weights yet: the unit is {} (try again in a second)", word(*state))]
    NoWeights {
        /// State of the unit.
        state: UnitState,
    },
    /// A request that needs a batch.
    #[error("no training batch in this timeline yet (try again)")]
    NoBatch,
    /// The machine did not answer in time.
    #[error("no answer within {seconds} s (it computes, or has ended; try again)")]
    Unanswered {
        /// Length of the wait.
        seconds: u64,
    },
    /// Not all is well.
    #[error("{0}")]
    Unhealthy(String),
    /// A query that means nothing.
    #[error("the query means nothing here ({hint})")]
    Query {
        /// Query that would be valid.
        hint: &'static str,
    },
    /// Something that would change the machine.
    #[error("only GET and HEAD are answered")]
    Method,
    /// A request with a body.
    #[error("a request has no body here")]
    Body,
    /// An address beyond all that is answered.
    #[error("an address has at most {max} characters here")]
    TooLong {
        /// The limit.
        max: usize,
    },
    /// Not exactly one `Host`.
    #[error("a request needs one Host header")]
    NoHost,
    /// A name that may be anybody's, for example one that a page in a browser made point here.
    #[error(
        "requests for this host are not answered (use an address of numbers, `localhost`, or have the name allowed)"
    )]
    ForeignHost,
    /// A page of another server asks.
    #[error("requests of other servers' pages are not answered")]
    ForeignOrigin,
    /// The token is missing or wrong.
    #[error("a token is needed (`Authorization: Bearer TOKEN`, or `?token=TOKEN` in a browser)")]
    NoToken,
    /// A picture or an array could not be made.
    #[error("cannot write the weights: {0}")]
    Encoding(String),
}

fn word(state: UnitState) -> &'static str {
    match state {
        UnitState::Blank => "blank",
        UnitState::Restoring => "restoring",
        UnitState::Running => "running",
    }
}

impl ResponseError for RequestProblem {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::NotFound | Self::NotHosted { .. } | Self::NotTrainer { .. } => {
                StatusCode::NOT_FOUND
            }
            Self::NoWeights { .. }
            | Self::NoBatch
            | Self::Unanswered { .. }
            | Self::Unhealthy(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Query { .. } | Self::NoHost => StatusCode::BAD_REQUEST,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Body => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooLong { .. } => StatusCode::URI_TOO_LONG,
            Self::ForeignHost => StatusCode::MISDIRECTED_REQUEST,
            Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::NoToken => StatusCode::UNAUTHORIZED,
            Self::Encoding(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        match self {
            Self::NoToken => response.insert_header((header::WWW_AUTHENTICATE, "Bearer")),
            Self::Method => response.insert_header((header::ALLOW, "GET, HEAD")),
            // The body that nobody reads follows on the connection.
            Self::Body => response.force_close(),
            _ => &mut response,
        };
        response
            .content_type("text/plain; charset=utf-8")
            .body(format!("{self}\n"))
    }
}
