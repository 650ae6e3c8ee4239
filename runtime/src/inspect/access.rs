//! The check of those who ask.
//!
//! Three checks, for three kinds of stranger:
//!
//! - **`Host`** must be an address of numbers, `localhost`, or a name that was allowed. A page in
//!   somebody's browser can make its own name point at 127.0.0.1 and then read what we answer
//!   (DNS rebinding), but it cannot make the browser send another name than its own. Refused with
//!   421: this server does not answer for that host.
//! - **`Origin`**, which browsers send with what a page's script asks for, must be this server.
//!   Refused with 403.
//! - **The token**, where one is configured, for everything but `/healthz`. Refused with 401.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use actix_web::http::header::{self, HeaderMap, HeaderName};
use sha2::{Digest, Sha256};

use super::problem::Problem;

/// Check of those who ask.
#[derive(Clone)]
pub struct Access {
    /// SHA-256 of the token: comparing digests takes a time that tells nothing about the token,
    /// and whoever prints this by mistake prints no secret.
    token: Option<[u8; 32]>,
    /// Names other than `localhost`, in lower case.
    names: Vec<String>,
}

/// An empty token would admit everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token of the inspection is empty (leave it out to admit everybody)")]
pub struct EmptyToken;

impl Access {
    /// Admits everybody who can reach the socket.
    pub fn open() -> Self {
        Self {
            token: None,
            names: Vec::new(),
        }
    }

    /// Admits those who know the token.
    ///
    /// # Errors
    /// When it is empty.
    pub fn with_token(token: &str) -> Result<Self, EmptyToken> {
        if token.is_empty() {
            return Err(EmptyToken);
        }
        Ok(Self {
            token: Some(Sha256::digest(token).into()),
            ..Self::open()
        })
    }

    /// Answers for this host name too, for example a container's.
    #[must_use]
    pub fn allow(mut self, name: &str) -> Self {
        self.names.push(name.to_ascii_lowercase());
        self
    }

    /// Checks `Host` and `Origin`.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check_sender(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let Ok(Some(host)) = single(headers, header::HOST) else {
            return Err(Problem::NoHost);
        };
        if !self.answers_for(host) {
            return Err(Problem::ForeignHost);
        }
        let Ok(origin) = single(headers, header::ORIGIN) else {
            return Err(Problem::ForeignOrigin);
        };
        let is_ours = |origin: &str| {
            origin
                .split_once("://")
                .is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
        };
        if origin.is_none_or(is_ours) {
            Ok(())
        } else {
            Err(Problem::ForeignOrigin)
        }
    }

    /// Checks the token: the header's, or the query's if there is no header.
    ///
    /// # Errors
    /// When there is none, or another one.
    pub fn check_token(&self, headers: &HeaderMap, query: Option<&str>) -> Result<(), Problem> {
        let Some(right) = self.token else {
            return Ok(());
        };
        let given = match single(headers, header::AUTHORIZATION) {
            Ok(Some(value)) => bearer(value),
            Ok(None) => query,
            Err(Garbled) => None,
        };
        let digest = |token| <[u8; 32]>::from(Sha256::digest(token));
        if given.is_some_and(|token| digest(token) == right) {
            Ok(())
        } else {
            Err(Problem::NoToken)
        }
    }

    fn answers_for(&self, host: &str) -> bool {
        let Some(name) = without_port(host) else {
            return false;
        };
        if let Some(numbers) = name.strip_prefix('[') {
            let numbers = numbers.strip_suffix(']');
            return numbers.is_some_and(|numbers| numbers.parse::<Ipv6Addr>().is_ok());
        }
        let name = name.to_ascii_lowercase();
        name.parse::<Ipv4Addr>().is_ok() || name == "localhost" || self.names.contains(&name)
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("needs_token", &self.token.is_some())
            .field("names", &self.names)
            .finish()
    }
}

/// A header that is there twice, or is not text.
struct Garbled;

/// The value of a header that may come once.
fn single(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, Garbled> {
    let mut values = headers.get_all(name);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| Garbled),
        (Some(_), Some(_)) => Err(Garbled),
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim_matches(' '))
}

/// The host of `host[:port]`; an IPv6 address keeps its brackets.
fn without_port(host: &str) -> Option<&str> {
    let end_of_name = host.rfind(']').map_or(0, |bracket| bracket + 1);
    let (name, port) = match host[end_of_name..].find(':') {
        Some(colon) => host.split_at(end_of_name + colon),
        None => (host, ":"),
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    port.strip_prefix(':').is_some_and(is_port).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_that_cannot_be_anybodys_are_answered_for() {
        let access = Access::open().allow("Hidden-3");
        let ours = [
            "127.0.0.1",
            "127.0.0.1:8080",
            "10.1.2.3:80",
            "[::1]",
            "[::1]:8080",
            "localhost",
            "LocalHost:8080",
            "hidden-3:80",
        ];
        for host in ours {
            assert!(access.answers_for(host), "{host}");
        }
        let foreign = [
            "",
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "127.0.0.1:80@evil.example",
            "evil.example:127.0.0.1",
            "localhost:80:80",
            "[::1]evil.example",
            "[::1",
            "::1",
            "[127.0.0.1]",
            "2130706433",
            "0x7f.1",
            "hidden-33",
        ];
        for host in foreign {
            assert!(!access.answers_for(host), "{host}");
        }
    }

    #[test]
    fn a_token_is_never_printed() {
        let access = Access::with_token("secret-token").unwrap();
        let text = format!("{access:?}");
        assert_eq!(text, "Access { needs_token: true, names: [] }");
        assert_eq!(Access::with_token("").unwrap_err(), EmptyToken);
    }
}
