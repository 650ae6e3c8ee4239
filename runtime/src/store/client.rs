//! Clients of a DynamoDB: deadlines and attempts, which the SDK does not set by itself.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::ProvideCredentials;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{
    BehaviorVersion, Builder, Credentials, Region, SharedCredentialsProvider, SharedHttpClient,
};
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};

use super::Error;
use super::waiting::telling;

const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// Longer than the 5 s that the embedded database waits for another process.
const ATTEMPT_WITHIN: Duration = Duration::from_secs(8);
const OPERATION_WITHIN: Duration = Duration::from_secs(25);
const ATTEMPTS: u32 = 5;
/// Attempts where nobody waits but a person, for services that take few requests a second.
const PATIENT_ATTEMPTS: u32 = 10;
const PATIENT_OPERATION_WITHIN: Duration = Duration::from_secs(120);
/// The SDK doubles this with full jitter.
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const MAX_BACKOFF: Duration = Duration::from_secs(2);

const FALLBACK_REGION: &str = "us-east-1";

/// The region of a run's own store: part of a signature that nobody checks.
pub const OWN_REGION: &str = "local";

/// Address of a DynamoDB, and our credentials there.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Region, also part of the signature.
    pub region: String,
    /// Address of an emulator, `http://host:port`; `None` for the region's own.
    pub url: Option<String>,
    /// Source of the credentials.
    pub credentials: SharedCredentialsProvider,
}

/// A client for an endpoint; TLS trusts the certificates of the system. Nothing is sent yet.
pub fn connect(endpoint: Endpoint) -> Client {
    let http = match &endpoint.url {
        Some(url) if url.starts_with("http://") => {
            aws_smithy_http_client::Builder::new().build_http()
        }
        _ => https(),
    };
    let mut config = config(http)
        .region(Region::new(endpoint.region))
        .credentials_provider(endpoint.credentials);
    config.set_endpoint_url(endpoint.url);
    Client::from_conf(config.build())
}

/// A client for a run's own store at `url`, which looks at nothing but the access key.
pub fn connect_with_key(url: String, access_key: String) -> Client {
    let credentials = Credentials::new(access_key, "unused", None, None, "run");
    connect(Endpoint {
        region: OWN_REGION.to_owned(),
        url: Some(url),
        credentials: SharedCredentialsProvider::new(credentials),
    })
}

/// A client for the DynamoDB that the environment names, as every AWS program reads it: endpoint,
/// profile, region and credentials. Nothing is sent yet, except to find credentials.
pub async fn connect_from_environment() -> Client {
    let http = https();
    let config = environment(&http).await;
    from_environment(&config, Builder::from(&config), http)
}

/// A client as [`connect_from_environment`] makes it, but at `endpoint`; None is the region's own, whatever
/// endpoint the environment names.
pub async fn connect_from_environment_to(endpoint: Option<&str>) -> Client {
    let http = https();
    let config = environment(&http).await;
    let mut shared = Builder::from(&config);
    shared.set_endpoint_url(endpoint.map(str::to_owned));
    from_environment(&config, shared, http)
}

fn from_environment(config: &SdkConfig, shared: Builder, http: SharedHttpClient) -> Client {
    let region = Region::new(region(config));
    Client::from_conf(with_patience(shared, http).region(region).build())
}

/// The region that the environment names.
pub async fn region_from_environment() -> String {
    region(&sdk_from_environment().await)
}

/// Configuration that the environment gives to every client of AWS, with our way to speak TLS.
/// Requests are repeated as long as AWS says that there are too many of them.
pub async fn sdk_from_environment() -> SdkConfig {
    let config = environment(&https()).await.into_builder();
    let retries = RetryConfig::standard().with_max_attempts(PATIENT_ATTEMPTS);
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_WITHIN)
        .operation_attempt_timeout(ATTEMPT_WITHIN)
        .operation_timeout(PATIENT_OPERATION_WITHIN)
        .build();
    config
        .retry_config(retries)
        .timeout_config(timeouts)
        .build()
}

/// The credentials that the environment names, as the lines of a profile, for containers that do
/// not share the environment. Some expire: then the run has to be brought up again.
///
/// # Errors
/// When there are none.
pub async fn credentials_from_environment() -> Result<String, Error> {
    let config = environment(&https()).await;
    let provider = config.credentials_provider();
    let none = |source| Error::NoCredentials { source };
    let provider = provider.ok_or_else(|| none("no provider is configured".into()))?;
    let credentials = provider
        .provide_credentials()
        .await
        .map_err(|error| none(error.into()))?;
    let mut lines = format!(
        "aws_access_key_id = {}\naws_secret_access_key = {}\n",
        credentials.access_key_id(),
        credentials.secret_access_key()
    );
    if let Some(token) = credentials.session_token() {
        lines.push_str(&format!("aws_session_token = {token}\n"));
    }
    Ok(lines)
}

fn https() -> SharedHttpClient {
    let client = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
        .build_https();
    telling(client)
}

async fn environment(http: &SharedHttpClient) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(http.clone())
        .load()
        .await
}

/// An emulator does not care, but a signature needs a region.
fn region(config: &SdkConfig) -> String {
    let region = config.region().map(ToString::to_string);
    region.unwrap_or_else(|| FALLBACK_REGION.to_owned())
}

/// Configuration that all clients share.
pub(super) fn config(http: SharedHttpClient) -> Builder {
    let builder = aws_sdk_dynamodb::Config::builder();
    with_patience(builder.behavior_version(BehaviorVersion::latest()), http)
}

fn with_patience(builder: Builder, http: SharedHttpClient) -> Builder {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_WITHIN)
        .operation_attempt_timeout(ATTEMPT_WITHIN)
        .operation_timeout(OPERATION_WITHIN)
        .build();
    let retries = RetryConfig::standard()
        .with_max_attempts(ATTEMPTS)
        .with_initial_backoff(FIRST_BACKOFF)
        .with_max_backoff(MAX_BACKOFF);
    builder
        .http_client(http)
        .timeout_config(timeouts)
        .retry_config(retries)
}
