//! Bodies: bounded, JSON, and told by field where they are wrong.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::problem::Problem;

/// The largest body that is read, in bytes.
const LIMIT: usize = 64 * 1024;
/// What is listened to and dropped of a larger one, in bytes, and for how long.
const DROPPED: usize = 16 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(3);

/// Reads a bounded JSON object, with the digest of its bytes.
pub async fn read_json<T: DeserializeOwned>(body: Body) -> Result<(T, String), Problem> {
    let bytes = read_up_to(LIMIT, body).await?;
    let value = decode(&bytes)?;
    Ok((value, digest(&bytes)))
}

/// SHA-256 in hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        use std::fmt::Write as _;
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Reads a JSON object of at most `limit` bytes.
pub async fn read_json_up_to<T: DeserializeOwned>(limit: usize, body: Body) -> Result<T, Problem> {
    decode(&read_up_to(limit, body).await?)
}

/// Reads a body of at most `limit` bytes.
pub async fn read_up_to(limit: usize, mut body: Body) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    while let Some(data) = next(&mut body).await {
        let data = data.map_err(|error| {
            Problem::new(StatusCode::BAD_REQUEST, format!("the body broke off: {error}"))
        })?;
        if bytes.len() + data.len() > limit {
            let _ = tokio::time::timeout(PATIENCE, drop_rest(body)).await;
            let detail = format!("the body is larger than {} KiB", limit / 1024);
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// Most clients read no answer before they have sent everything.
async fn drop_rest(mut body: Body) {
    let mut length = 0;
    while let Some(Ok(data)) = next(&mut body).await
        && length <= DROPPED
    {
        length += data.len();
    }
}

/// The next piece; none of a trailer.
async fn next(body: &mut Body) -> Option<Result<Bytes, axum::Error>> {
    let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await?;
    Some(frame.map(|frame| frame.into_data().unwrap_or_default()))
}

/// A body that may be left out.
pub async fn optional_json<T>(headers: &HeaderMap, body: Body) -> Result<T, Problem>
where
    T: DeserializeOwned + Default,
{
    let length = headers.get(header::CONTENT_LENGTH);
    let empty = length.is_none_or(|length| length == "0")
        && !headers.contains_key(header::TRANSFER_ENCODING);
    if empty { Ok(T::default()) } else { Ok(read_json(body).await?.0) }
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let no_json = |error: serde_json::Error| {
        Problem::new(StatusCode::BAD_REQUEST, format!("the body is no JSON: {error}"))
    };
    let deserializer = &mut serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut *deserializer).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        if !inner.is_data() {
            return no_json(inner);
        }
        // A list would be read as the fields in their order.
        if !bytes.trim_ascii_start().starts_with(b"{") {
            return not_an_object();
        }
        let words = inner.to_string();
        Problem::field(&field(&path, &words), words)
    })?;
    deserializer.end().map_err(no_json)?;
    if bytes.trim_ascii_start().starts_with(b"{") { Ok(value) } else { Err(not_an_object()) }
}

fn not_an_object() -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "the body must be a JSON object: `{ ... }`")
}

/// The field that an error is about: a missing one is not on the path to it.
fn field(path: &str, words: &str) -> String {
    let missing = words.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
    match (missing, path) {
        (None, path) => path.to_owned(),
        (Some(name), ".") => name.to_owned(),
        (Some(name), path) => format!("{path}.{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[serde(rename = "inner")]
        _inner: Inner,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[serde(rename = "name")]
        _name: String,
    }

    fn blamed(text: &str) -> String {
        serde_json::to_string(&decode::<Outer>(text.as_bytes()).unwrap_err()).unwrap()
    }

    #[test]
    fn a_mistake_is_told_with_the_way_to_its_field() {
        assert!(blamed("{}").contains(r#""field":"inner""#));
        assert!(blamed(r#"{"inner":{}}"#).contains(r#""field":"inner.name""#));
        assert!(blamed(r#"{"inner":{"nmae":"x"}}"#).contains(r#""field":"inner.nmae""#));
        assert!(blamed(r#"{"inner":{"name":1}}"#).contains(r#""field":"inner.name""#));
    }

    #[test]
    fn a_body_is_one_object_and_nothing_after_it() {
        assert!(blamed(r#"[["x"]]"#).contains("must be a JSON object"));
        assert!(blamed("null").contains("must be a JSON object"));
        assert!(blamed(r#"{"inner":{"name":"x"}} x"#).contains("no JSON: trailing characters"));
    }
}
