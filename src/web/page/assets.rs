//! The one style sheet and the one script: named by what is in them, so kept for ever.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::chart;
use crate::web::body::digest;
use crate::web::problem::Problem;

const SCRIPT: &str = include_str!("assets/page.js");

static CSS: LazyLock<Asset> = LazyLock::new(|| {
    let text =
        format!("{}{}\n{}", chart::colours(), chart::style(), include_str!("assets/page.css"));
    Asset::new("page", "css", text)
});
static JS: LazyLock<Asset> = LazyLock::new(|| Asset::new("page", "js", SCRIPT.to_owned()));

struct Asset {
    address: String,
    text: String,
}

impl Asset {
    fn new(stem: &str, extension: &str, text: String) -> Self {
        let digest = digest(text.as_bytes());
        let address = format!("/assets/{stem}.{}.{extension}", &digest[..16]);
        Self { address, text }
    }
}

pub fn css() -> &'static str {
    &CSS.address
}

pub fn js() -> &'static str {
    &JS.address
}

pub async fn get(Path(name): Path<String>) -> Response {
    let asked = format!("/assets/{name}");
    let found = [(&CSS, "text/css; charset=utf-8"), (&JS, "text/javascript; charset=utf-8")];
    let found = found.into_iter().find(|(asset, _)| asset.address == asked);
    let Some((asset, kind)) = found else {
        let detail = "another version of deployguard has that file: reload the page";
        return Problem::new(StatusCode::NOT_FOUND, detail).into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    (headers, asset.text.as_str()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_stays_small_and_asks_nobody_but_the_daemon() {
        assert!(SCRIPT.len() < 12_000, "{} bytes", SCRIPT.len());
        for text in [SCRIPT, CSS.text.as_str()] {
            assert!(!text.contains("http:") && !text.contains("https:"), "an address elsewhere");
            assert!(!text.contains("innerHTML") && !text.contains("eval("), "text made code");
        }
    }
}
