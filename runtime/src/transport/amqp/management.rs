//! The broker's management API, over HTTP: a virtual host and users of the run's own, and figures
//! for people. Blocking; call it from a thread that may wait.

use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use ureq::tls::{PemItem, RootCerts, TlsConfig};

use super::{Broker, Error};
use crate::trust;

const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The ports that the API has unless others are configured, without and with TLS.
const DEFAULT_PORT: u16 = 15672;
const DEFAULT_TLS_PORT: u16 = 15671;

/// The most that an answer may have: figures of some thousand queues.
const MAX_ANSWER: u64 = 16 << 20;

/// A broker's management API and who we are there.
#[derive(Clone)]
pub struct Management {
    base: String,
    authorization: String,
    agent: ureq::Agent,
}

/// Permissions of a user, as regular expressions over names.
#[derive(Clone, Debug)]
pub struct Permissions {
    /// Declare and remove.
    pub configure: String,
    /// Publish to exchanges, bind queues.
    pub write: String,
    /// Listen to queues.
    pub read: String,
}

/// Figures of one queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueFigures {
    /// Its name.
    pub name: String,
    /// Messages that wait.
    pub messages: u64,
    /// Number of consumers.
    pub consumers: u64,
}

impl Management {
    /// The API at `base`, `http://host:port`; by default where a broker of that address has it: who
    /// encrypts messages to it does not want to send it passwords in clear.
    pub fn new(base: Option<&str>, broker: &Broker) -> Self {
        let (user, password) = broker.credentials();
        let base = match base {
            Some(base) => base.trim_end_matches('/').to_owned(),
            None if broker.is_encrypted() => {
                format!("https://{}:{DEFAULT_TLS_PORT}", broker.host())
            }
            None => format!("http://{}:{DEFAULT_PORT}", broker.host()),
        };
        let mut config = ureq::Agent::config_builder()
            .timeout_global(Some(ANSWER_WITHIN))
            .http_status_as_error(false);
        if base.starts_with("https://") {
            config = config.tls_config(trusting(broker));
        }
        let config = config.build();
        Self {
            base,
            authorization: format!(
                "Basic {}",
                BASE64_STANDARD.encode(format!("{user}:{password}"))
            ),
            agent: config.into(),
        }
    }

    /// Its URL.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// True when it answers, and lets us make users.
    pub fn is_administrator(&self) -> bool {
        self.get("/api/whoami").is_ok_and(|who| {
            // A list from 3.9 on, a text with commas before.
            let tags = &who["tags"];
            let is_admin = |tag: &str| tag.trim() == "administrator";
            tags.as_str()
                .is_some_and(|tags| tags.split(',').any(is_admin))
                || tags
                    .as_array()
                    .is_some_and(|tags| tags.iter().filter_map(Value::as_str).any(is_admin))
        })
    }

    /// Makes a virtual host; one that is there stays as it is.
    pub fn ensure_vhost(&self, vhost: &str, description: &str) -> Result<(), Error> {
        let body = json!({"description": description, "tags": "cuttlefish"});
        self.send(
            "PUT",
            &format!("/api/vhosts/{}", encoded(vhost)),
            Some(&body),
        )
    }

    /// Makes a user, or gives it this password.
    pub fn ensure_user(&self, user: &str, password: &str) -> Result<(), Error> {
        let body = json!({"password": password, "tags": ""});
        self.send("PUT", &format!("/api/users/{}", encoded(user)), Some(&body))
    }

    /// Says what a user may do in a virtual host.
    pub fn permit(&self, vhost: &str, user: &str, permissions: &Permissions) -> Result<(), Error> {
        let path = format!("/api/permissions/{}/{}", encoded(vhost), encoded(user));
        let body = json!({
            "configure": permissions.configure,
            "write": permissions.write,
            "read": permissions.read,
        });
        self.send("PUT", &path, Some(&body))
    }

    /// Removes a virtual host with everything in it; one that is not there is no error.
    pub fn remove_vhost(&self, vhost: &str) -> Result<(), Error> {
        self.send("DELETE", &format!("/api/vhosts/{}", encoded(vhost)), None)
    }

    /// Removes a user; one that is not there is no error.
    pub fn remove_user(&self, user: &str) -> Result<(), Error> {
        self.send("DELETE", &format!("/api/users/{}", encoded(user)), None)
    }

    /// The queues of a virtual host whose names begin with `prefix`.
    pub fn queues(&self, vhost: &str, prefix: &str) -> Result<Vec<QueueFigures>, Error> {
        let path = format!(
            "/api/queues/{}?columns=name,messages,consumers",
            encoded(vhost)
        );
        let answer = self.get(&path)?;
        let figures = |queue: &Value| {
            let name = queue["name"].as_str()?;
            name.starts_with(prefix).then(|| QueueFigures {
                name: name.to_owned(),
                messages: queue["messages"].as_u64().unwrap_or(0),
                consumers: queue["consumers"].as_u64().unwrap_or(0),
            })
        };
        Ok(answer
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(figures)
            .collect())
    }

    /// Figures of the broker: the JSON at `path`.
    pub fn get(&self, path: &str) -> Result<Value, Error> {
        let failed = |error: &dyn std::fmt::Display| self.failed("GET", path, error);
        let mut response = self
            .agent
            .get(format!("{}{path}", self.base))
            .header("authorization", &self.authorization)
            .call()
            .map_err(|error| failed(&error))?;
        let status = response.status();
        if !status.is_success() {
            return Err(failed(&status));
        }
        let text = response
            .body_mut()
            .with_config()
            .limit(MAX_ANSWER)
            .read_to_string()
            .map_err(|error| failed(&error))?;
        serde_json::from_str(&text).map_err(|error| failed(&error))
    }

    fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(), Error> {
        let failed = |error: &dyn std::fmt::Display| self.failed(method, path, error);
        let url = format!("{}{path}", self.base);
        let response = match body {
            Some(body) => self
                .agent
                .put(url)
                .header("authorization", &self.authorization)
                .header("content-type", "application/json")
                .send(body.to_string()),
            None => self
                .agent
                .delete(url)
                .header("authorization", &self.authorization)
                .call(),
        };
        let status = response.map_err(|error| failed(&error))?.status();
        let is_gone = body.is_none() && status.as_u16() == 404;
        if status.is_success() || is_gone {
            return Ok(());
        }
        Err(failed(&status))
    }

    fn failed(&self, method: &str, path: &str, error: &dyn std::fmt::Display) -> Error {
        Error::Management(format!("{method} {}{path}: {error}", self.base))
    }
}

/// Trusts whom connections to the broker trust.
fn trusting(broker: &Broker) -> TlsConfig {
    let pem = trust::system_certificates() + broker.ca().unwrap_or_default();
    let certificates = ureq::tls::parse_pem(pem.as_bytes()).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    });
    TlsConfig::builder()
        .root_certs(RootCerts::from(certificates))
        .build()
}

fn encoded(name: &str) -> String {
    utf8_percent_encode(name, NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_of_an_encrypted_broker_is_looked_for_where_it_is_encrypted_too() {
        let base = |url: &str, base| {
            let broker = Broker::parse(url, None).unwrap();
            Management::new(base, &broker).base().to_owned()
        };
        assert_eq!(base("amqp://u:p@h/v", None), "http://h:15672");
        assert_eq!(base("amqps://u:p@h/v", None), "https://h:15671");
        assert_eq!(base("amqps://u:p@h/v", Some("https://h/")), "https://h");
    }
}
