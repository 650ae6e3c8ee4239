//! The inspection of an actor, asked over HTTP.

use std::collections::HashMap;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::host::RunSnapshot;

const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The most that an answer may have: a large neuron with all its weights.
const MAX_ANSWER: u64 = 64 << 20;

/// The inspection of one actor.
#[derive(Clone)]
pub struct Inspection {
    base: String,
    token: String,
    agent: ureq::Agent,
}

/// Error of an inspection that gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum InspectionError {
    /// An actor that cannot be reached, or whose answer cannot be read.
    #[error("{url}: {source}")]
    Http {
        /// URL that was asked.
        url: String,
        /// Client's error.
        source: Box<ureq::Error>,
    },
    /// An answer of another form.
    #[error("{url}: {source}")]
    Json {
        /// URL that was asked.
        url: String,
        /// Problem of the JSON.
        source: serde_json::Error,
    },
}

impl Inspection {
    /// The inspection at `base`.
    pub fn new(base: String, token: String) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(ANSWER_WITHIN))
            .build();
        Self {
            base,
            token,
            agent: config.into(),
        }
    }

    /// Base URL.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Asks for the JSON at `path`.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, InspectionError> {
        let text = self.text(path).await?;
        serde_json::from_str(&text).map_err(|source| InspectionError::Json {
            url: format!("{}{path}", self.base),
            source,
        })
    }

    /// The actor's metrics by name, the first of each; empty where it does not answer.
    pub async fn metrics(&self) -> HashMap<String, f64> {
        let text = self.text("/metrics").await.unwrap_or_default();
        let mut metrics = HashMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap_or_default();
            let value = line.rsplit(' ').next().and_then(|value| value.parse().ok());
            if let Some(value) = value {
                metrics.entry(name.to_owned()).or_insert(value);
            }
        }
        metrics
    }

    /// Trouble that the actor reports; None where all is well, or it does not answer.
    pub async fn trouble(&self) -> Option<String> {
        let answer = self.answer("/healthz", false).await.ok()?;
        let answer = answer.trim();
        (answer != "ok").then(|| answer.to_owned())
    }

    async fn text(&self, path: &str) -> Result<String, InspectionError> {
        self.answer(path, true).await
    }

    /// The text at `path`; with `must_be_ok` only where the status says that it is what was asked for.
    async fn answer(&self, path: &str, must_be_ok: bool) -> Result<String, InspectionError> {
        let this = self.clone();
        let url = format!("{}{path}", self.base);
        let answer = tokio::task::spawn_blocking(move || this.ask(url, must_be_ok)).await;
        match answer {
            Ok(answer) => answer,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }

    fn ask(&self, url: String, must_be_ok: bool) -> Result<String, InspectionError> {
        let text = self
            .agent
            .get(&url)
            .config()
            .http_status_as_error(must_be_ok)
            .build()
            .header("authorization", format!("Bearer {}", self.token))
            .call()
            .and_then(|mut response| {
                let body = response.body_mut().with_config().limit(MAX_ANSWER);
                body.read_to_string()
            });
        text.map_err(|source| InspectionError::Http {
            url,
            source: Box::new(source),
        })
    }

    /// Snapshot of the run, as the trainer tells it, with the notes after number `after`.
    pub async fn look(&self, after: u64) -> Result<RunSnapshot, InspectionError> {
        self.get(&format!("/run?after={after}")).await
    }
}
