//! A watch's charts and report, made when they are asked for.

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::Face;
use super::act::find;
use super::asked::Path;
use super::etag;
use super::openapi::texts::{Picture, WATCH};
use super::openapi::{Also, ToRead};
use super::problem::Problem;
use crate::chart::{self, Theme, Width};
use crate::engine::picture::{chart_of, drawn};
use crate::watch::{Event, Story, Watch, report, tell};

/// How a chart is to look.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Look {
    /// `auto`, as whoever looks at it prefers, if it is left out.
    #[param(inline)]
    theme: Option<AskedTheme>,
    /// `desktop`, if it is left out.
    #[param(inline)]
    width: Option<AskedWidth>,
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum AskedTheme {
    Light,
    Dark,
    Auto,
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum AskedWidth {
    Phone,
    Desktop,
}

#[derive(Clone, Copy)]
enum Format {
    Svg,
    Png,
}

/// A check of a watch, drawn.
#[utoipa::path(
    get,
    path = "/api/v1/watches/{id}/chart/{file}",
    operation_id = "draw_chart",
    tag = "watches",
    params(
        ("id" = String, Path, description = WATCH),
        ("file" = String, Path, description = "The check's name with `.svg` or `.png`.",
            example = "error rate.svg"),
        Look,
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` that is known."),
    ),
    responses(
        (status = 200, description = "The drawing.",
            content((String = "image/svg+xml"), (Picture = "image/png")),
            headers(("ETag" = String, description = "Of the drawing."))),
        (status = 304, description = "It is the one that is known."),
        Also<400>,
        Also<404>,
        ToRead,
    ),
    security(("token" = ["read"])),
)]
pub async fn chart(
    State(face): State<Face>,
    Path((id, file)): Path<(String, String)>,
    look: Result<Query<Look>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    face.may_read(&headers)?;
    let Query(look) =
        look.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.body_text()))?;
    let watch = find(&face, &id).await?;
    let (name, format) = named(&watch, &file)?;
    let theme = match look.theme {
        Some(AskedTheme::Light) => Theme::Light,
        Some(AskedTheme::Dark) => Theme::Dark,
        Some(AskedTheme::Auto) | None => Theme::Auto,
    };
    let width = match look.width {
        Some(AskedWidth::Phone) => Width::Phone,
        Some(AskedWidth::Desktop) | None => Width::Desktop,
    };
    let make = move |story: &Story| {
        let check = story.watch.policy().check(&name).ok_or("the check is gone")?;
        let chart = chart_of(story, check);
        match format {
            Format::Svg => Ok(chart::svg(&chart, theme, width).into_bytes()),
            Format::Png => chart::png(&chart, theme, width).map_err(|why| why.to_string()),
        }
    };
    let kind = match format {
        Format::Svg => "image/svg+xml",
        Format::Png => "image/png",
    };
    made(&face, &watch, &headers, kind, make).await
}

/// The report of a watch, as Markdown.
#[utoipa::path(
    get,
    path = "/api/v1/watches/{id}/report.md",
    operation_id = "read_report",
    tag = "watches",
    params(
        ("id" = String, Path, description = WATCH),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` that is known."),
    ),
    responses(
        (status = 200, description = "The report.", body = String, content_type = "text/markdown",
            headers(("ETag" = String, description = "Of the report."))),
        (status = 304, description = "It is the one that is known."),
        Also<400>,
        Also<404>,
        ToRead,
    ),
    security(("token" = ["read"])),
)]
pub async fn told(
    State(face): State<Face>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    face.may_read(&headers)?;
    let watch = find(&face, &id).await?;
    let kind = "text/markdown; charset=utf-8";
    made(&face, &watch, &headers, kind, |story| Ok(report(story).into_bytes())).await
}

/// The check and the format that a file's name asks for.
fn named(watch: &Watch, file: &str) -> Result<(String, Format), Problem> {
    let svg = file.strip_suffix(".svg").map(|name| (name, Format::Svg));
    let asked = svg.or_else(|| file.strip_suffix(".png").map(|name| (name, Format::Png)));
    if let Some((name, format)) = asked
        && watch.policy().check(name).is_some()
    {
        return Ok((name.to_owned(), format));
    }
    let known: Vec<&str> = watch.policy().checks.iter().map(|one| one.name.as_str()).collect();
    let detail = format!(
        "`{file}`: ask for CHECK.svg or CHECK.png; the checks are {}",
        if known.is_empty() { "none".to_owned() } else { known.join(", ") }
    );
    Err(Problem::new(StatusCode::NOT_FOUND, detail))
}

/// What is made of a watch's journal. What an ended watch gives stays the same.
async fn made(
    face: &Face,
    watch: &Watch,
    headers: &HeaderMap,
    kind: &'static str,
    make: impl FnOnce(&Story) -> Result<Vec<u8>, String> + Send + 'static,
) -> Result<Response, Problem> {
    let journal = face.store.journal::<Event>(&watch.id).await?;
    let work = move || make(&tell(&journal, None).map_err(|why| why.to_string())?);
    let bytes = drawn(work).await.and_then(|made| made);
    let bytes = bytes.map_err(|why| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, why))?;
    let caching = if watch.is_open() { "no-store" } else { "private, max-age=3600" };
    let tag = etag::of(&bytes);
    let mut response = if etag::is_known(headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Response::new(Body::from(bytes))
    };
    let told = response.headers_mut();
    let plain = HeaderValue::from_static;
    told.insert(header::CONTENT_TYPE, plain(kind));
    told.insert(header::CACHE_CONTROL, plain(caching));
    told.insert(header::ETAG, tag);
    // A drawing that is opened by itself runs and loads nothing.
    let policy = "default-src 'none'; style-src 'unsafe-inline'; sandbox";
    told.insert(header::CONTENT_SECURITY_POLICY, plain(policy));
    told.insert(header::X_CONTENT_TYPE_OPTIONS, plain("nosniff"));
    Ok(response)
}
