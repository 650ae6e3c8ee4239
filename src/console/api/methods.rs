//! Methods of an address, and the answer to all others: which those are (RFC 9110).

use std::future::ready;

use actix_web::guard;
use actix_web::http::header::HeaderValue;
use actix_web::web;
use actix_web::{FromRequest, Handler, HttpRequest, Resource, Responder, ResponseError, Route};

use crate::console::problem::Problem;

/// Route of a method.
pub struct MethodRoute {
    /// The method, as `Allow` names it.
    allowed: &'static str,
    route: Route,
}

/// `GET`, and `HEAD`, whose answer has no body.
pub fn get() -> MethodRoute {
    MethodRoute {
        allowed: "GET, HEAD",
        route: web::route().guard(guard::Any(guard::Get()).or(guard::Head())),
    }
}

pub(super) fn post() -> MethodRoute {
    MethodRoute {
        allowed: "POST",
        route: web::post(),
    }
}

pub(super) fn put() -> MethodRoute {
    MethodRoute {
        allowed: "PUT",
        route: web::put(),
    }
}

pub(super) fn delete() -> MethodRoute {
    MethodRoute {
        allowed: "DELETE",
        route: web::delete(),
    }
}

impl MethodRoute {
    /// The route, answered by a handler.
    pub fn to<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        Self {
            route: self.route.to(handler),
            ..self
        }
    }
}

/// Resource at an address with these methods. Others are refused, and told which there are.
pub fn resource<const N: usize>(path: &str, methods: [MethodRoute; N]) -> Resource {
    let allowed = methods.each_ref().map(|method| method.allowed).join(", ");
    let refuse = move |request: HttpRequest| {
        let allowed = HeaderValue::from_str(&allowed);
        let problem = Problem::method(request.method(), allowed.ok());
        ready(problem.error_response())
    };
    let resource = web::resource(path).default_service(web::to(refuse));
    methods
        .into_iter()
        .fold(resource, |resource, method| resource.route(method.route))
}
