//! Word of a service that does not answer: the SDK tries again for up to two minutes, and says nothing meanwhile.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::config::http::HttpRequest;
use aws_sdk_dynamodb::config::{RuntimeComponents, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};

/// Time without any answer after which people are told, once until there is one.
const SILENT_FOR: Duration = Duration::from_secs(3);

/// A client that tells people when nothing answers it.
pub(super) fn telling(inner: SharedHttpClient) -> SharedHttpClient {
    SharedHttpClient::new(Telling {
        inner,
        silence: Arc::default(),
    })
}

struct Telling<T> {
    inner: T,
    silence: Arc<Mutex<Silence>>,
}

/// Requests without an answer.
#[derive(Debug, Default)]
struct Silence {
    /// Time of the first request since there was an answer.
    since: Option<Instant>,
    is_told: bool,
}

impl Silence {
    /// Takes note of a request: the time for which nothing has answered, if people should hear of it.
    fn asked(&mut self, now: Instant) -> Option<Duration> {
        let silent = now - *self.since.get_or_insert(now);
        let is_news =
            silent >= SILENT_FOR && !std::mem::replace(&mut self.is_told, silent >= SILENT_FOR);
        is_news.then_some(silent)
    }
}

impl<T> fmt::Debug for Telling<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Telling")
    }
}

impl HttpClient for Telling<SharedHttpClient> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Telling {
            inner: self.inner.http_connector(settings, components),
            silence: self.silence.clone(),
        })
    }
}

impl HttpConnector for Telling<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let silence = self.silence.clone();
        let silent = lock(&silence).asked(Instant::now());
        if let Some(silent) = silent {
            let host = host(request.uri()).to_owned();
            let seconds = silent.as_secs();
            tracing::warn!("{host} has not answered for {seconds} s; it is tried again");
        }
        let answer = self.inner.call(request);
        HttpConnectorFuture::new(async move {
            let answer = answer.await;
            if answer.is_ok() {
                *lock(&silence) = Silence::default();
            }
            answer
        })
    }
}

fn lock(silence: &Mutex<Silence>) -> std::sync::MutexGuard<'_, Silence> {
    silence.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Scheme, host and port of an address.
fn host(uri: &str) -> &str {
    let start = uri.find("://").map_or(0, |at| at + 3);
    let end = uri[start..].find(['/', '?']);
    end.map_or(uri, |end| &uri[..start + end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_once_that_nothing_answers_and_again_after_an_answer() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut silence = Silence::default();
        let told: Vec<_> = [0, 1, 2, 4, 9].map(|s| silence.asked(at(s))).into();
        let four = Some(Duration::from_secs(4));
        assert_eq!(told, [None, None, None, four, None]);
        silence = Silence::default();
        assert_eq!(
            [20, 21, 24].map(|s| silence.asked(at(s))),
            [None, None, four]
        );
    }

    #[test]
    fn an_address_is_told_without_its_path() {
        for uri in [
            "https://ecs.eu-west-1.amazonaws.com",
            "http://127.0.0.1:8000",
        ] {
            assert_eq!(host(uri), uri);
            assert_eq!(host(&format!("{uri}/a?token=b")), uri);
            assert_eq!(host(&format!("{uri}?token=b")), uri);
        }
    }
}
