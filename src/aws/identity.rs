//! Who we are to an account, and how its clock goes.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_sts::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_sts::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_sts::error::BoxError;
use jiff::Timestamp;

use super::{Account, Fault};

/// What `GetCallerIdentity` has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub arn: String,
    pub account: String,
    /// The time there, in whole seconds, as the answer was sent; `None`: it was not said.
    pub at: Option<Timestamp>,
}

/// Keeps the answer's `Date`.
#[derive(Debug, Clone, Default)]
struct DateHeader(Arc<Mutex<Option<String>>>);

impl Intercept for DateHeader {
    fn name(&self) -> &'static str {
        "DateHeader"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date").map(str::to_owned);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = date;
        Ok(())
    }
}

impl Account {
    /// Asks STS who we are. Needs no permission.
    pub async fn identity(&self) -> Result<Identity, Fault> {
        let date = DateHeader::default();
        let client = aws_sdk_sts::Client::new(self.config());
        let asked = client.get_caller_identity().customize().interceptor(date.clone());
        let sent = asked.send().await;
        let answer = sent.map_err(|error| Fault::of("GetCallerIdentity", &error))?;
        let date = date.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let at = date.and_then(|text| jiff::fmt::rfc2822::parse(&text).ok());
        Ok(Identity {
            arn: answer.arn.unwrap_or_default(),
            account: answer.account.unwrap_or_default(),
            at: at.map(|at| at.timestamp()),
        })
    }
}
