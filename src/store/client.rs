//! Clients of a DynamoDB: deadlines and attempts, which the SDK does not set by itself.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{
    BehaviorVersion, Builder, Region, SharedCredentialsProvider, SharedHttpClient,
};
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};

const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// Longer than the 5 s that the embedded database waits for another process.
const ATTEMPT_WITHIN: Duration = Duration::from_secs(8);
const OPERATION_WITHIN: Duration = Duration::from_secs(25);
const ATTEMPTS: u32 = 5;
/// The SDK doubles this with full jitter.
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const MAX_BACKOFF: Duration = Duration::from_secs(2);

const FALLBACK_REGION: &str = "us-east-1";

/// Where a DynamoDB is, and who we are there.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Region, also part of the signature.
    pub region: String,
    /// `http://host:port` of an emulator; none for the region's own.
    pub url: Option<String>,
    /// Where credentials come from.
    pub credentials: SharedCredentialsProvider,
}

/// A client for an endpoint; TLS trusts the certificates of the system. Nothing is sent yet.
pub fn connect(endpoint: Endpoint) -> Client {
    let http = aws_smithy_http_client::Builder::new();
    let http = match &endpoint.url {
        Some(url) if url.starts_with("http://") => http.build_http(),
        _ => http
            .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
            .build_https(),
    };
    let mut config = config(http)
        .region(Region::new(endpoint.region))
        .credentials_provider(endpoint.credentials);
    config.set_endpoint_url(endpoint.url);
    Client::from_conf(config.build())
}

/// A client for the DynamoDB that the environment names, as every AWS program reads it: endpoint,
/// profile, region and credentials. Nothing is sent yet, except to find credentials.
pub async fn connect_from_environment() -> Client {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let found = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http.clone())
        .load()
        .await;
    let shared = aws_sdk_dynamodb::config::Builder::from(&found);
    let region = found.region().cloned();
    // An emulator does not care, but a signature needs one.
    let region = region.unwrap_or_else(|| Region::new(FALLBACK_REGION));
    Client::from_conf(with_patience(shared, http).region(region).build())
}

/// What every client has in common.
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
