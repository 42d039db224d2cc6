//! One account and region of AWS: what every client of it shares.

mod fault;
mod identity;

use std::fmt;
use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;

pub use fault::{At, Fault, Kind, NO_REGION};
pub use identity::Identity;

const CONNECT: Duration = Duration::from_secs(3);
const ATTEMPT: Duration = Duration::from_secs(10);
const OPERATION: Duration = Duration::from_secs(20);
/// Of a call that only reads, the first try included.
const ATTEMPTS: u32 = 3;

/// Where an account is, and who asks.
#[derive(Debug, Clone, Default)]
pub struct AccountSettings {
    /// The settings' name for this account and region: `ServiceKey::target`.
    pub target: String,
    /// `None`: as the environment says.
    pub region: Option<String>,
    /// Another address than AWS's; `None`: AWS's, or `AWS_ENDPOINT_URL`.
    pub endpoint: Option<String>,
    /// `None`: the default chain's.
    pub credentials: Option<SharedCredentialsProvider>,
    /// A role that these credentials take on; `None`: they are used as they are.
    pub role: Option<Role>,
}

/// A role of another account, or of the same.
#[derive(Clone)]
pub struct Role {
    pub arn: String,
    pub external_id: Option<String>,
}

impl fmt::Debug for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Role").field("arn", &self.arn).finish_non_exhaustive()
    }
}

/// What `CloudTrail` shows a role's calls as.
const SESSION: &str = "deployguard";

/// One account and region. Cheap to clone; clones share connections and credentials.
#[derive(Debug, Clone)]
pub struct Account {
    target: String,
    config: SdkConfig,
}

impl Account {
    /// Prepares TLS, time-outs, retries and credentials. Nothing is sent; wrong
    /// credentials show at the first call.
    ///
    /// Reads are retried a few times within [`OPERATION`]; a call that changes something
    /// is made with [`without_retries`].
    pub async fn connect(settings: AccountSettings) -> Self {
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
        if let Some(region) = settings.region {
            loader = loader.region(Region::new(region));
        }
        if let Some(endpoint) = settings.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        if let Some(credentials) = settings.credentials {
            loader = loader.credentials_provider(credentials);
        }
        let mut config = loader.load().await;
        if let Some(Role { arn, external_id }) = settings.role {
            let mut taking = AssumeRoleProvider::builder(arn).session_name(SESSION);
            if let Some(external_id) = external_id {
                taking = taking.external_id(external_id);
            }
            let provider = taking.configure(&config).build().await;
            // It renews them before they run out. Of each account its own: where a role can't
            // be taken on, nobody else waits for it.
            config = config
                .into_builder()
                .credentials_provider(SharedCredentialsProvider::new(provider))
                .identity_cache(IdentityCache::lazy().build())
                .build();
        }
        Self { target: settings.target, config }
    }

    pub fn target(&self) -> &str {
        &self.target
    }

    /// The region, as far as the settings or the environment name one.
    pub fn region(&self) -> Option<&str> {
        self.config.region().map(Region::as_ref)
    }

    /// What a client of any service is made of.
    pub fn config(&self) -> &SdkConfig {
        &self.config
    }
}

/// For calls that change something. They have no precondition: a second try
/// could undo what somebody else did after the first.
pub fn without_retries() -> RetryConfig {
    RetryConfig::disabled()
}
