//! The SDK's client: TLS, time-outs and retries.

use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_ecs::Client;
use aws_sdk_ecs::config::{Region, SharedCredentialsProvider};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;

use super::EcsSettings;

const CONNECT: Duration = Duration::from_secs(3);
const ATTEMPT: Duration = Duration::from_secs(10);
const OPERATION: Duration = Duration::from_secs(20);
/// Of a call that only reads, the first try included.
const ATTEMPTS: u32 = 3;

/// Reads are retried a few times within [`OPERATION`]; for calls that change
/// something see [`without_retries`].
pub(super) async fn connect(
    settings: &EcsSettings,
    credentials: Option<SharedCredentialsProvider>,
) -> Client {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(ATTEMPT)
        .operation_timeout(OPERATION)
        .build();
    let retries = RetryConfig::standard()
        .with_max_attempts(ATTEMPTS)
        .with_max_backoff(Duration::from_secs(2));
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .timeout_config(timeouts)
        .retry_config(retries);
    if let Some(region) = &settings.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(endpoint) = &settings.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    if let Some(credentials) = credentials {
        loader = loader.credentials_provider(credentials);
    }
    Client::new(&loader.load().await)
}

/// For calls that change something. They have no precondition: a second try
/// could undo what somebody else did after the first.
pub(super) fn without_retries() -> aws_sdk_ecs::config::Builder {
    aws_sdk_ecs::Config::builder().retry_config(RetryConfig::disabled())
}
