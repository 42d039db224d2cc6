//! What stands in an address.

use axum::extract::{FromRequestParts, rejection::PathRejection};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// axum's own, whose mistakes are problem documents.
pub struct Path<T>(pub T);

impl<S, T> FromRequestParts<S> for Path<T>
where
    S: Send + Sync,
    T: DeserializeOwned + Send,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = axum::extract::Path::from_request_parts(parts, state).await;
        let wrong = |why: PathRejection| Problem::new(StatusCode::BAD_REQUEST, why.body_text());
        Ok(Self(read.map_err(wrong)?.0))
    }
}
