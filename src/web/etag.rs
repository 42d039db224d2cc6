//! What a client has already needs not be sent again.

use axum::http::{HeaderMap, HeaderValue, header};

use super::body::digest;

/// The tag of these bytes: the first half of their digest.
pub fn of(bytes: &[u8]) -> HeaderValue {
    let mut tag = digest(bytes);
    tag.truncate(32);
    HeaderValue::from_str(&format!("\"{tag}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Whether the client says that it has what bears this tag.
pub fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    known.is_some_and(|known| {
        known.split(',').any(|one| one.trim().trim_start_matches("W/").as_bytes() == tag.as_bytes())
    })
}
