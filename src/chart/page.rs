//! A page that stands alone: no script, no network, light and dark.

use sha2::{Digest, Sha256};

use super::text::escape;
use super::theme::{DARK, LIGHT, Palette, Theme, css};
use super::{Chart, Width, draw};
use crate::model::Tone;

/// A part of a page, from top to bottom.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    pub heading: String,
    /// Colours the edge beside the lines; the words must say it too.
    pub tone: Tone,
    /// Sentences.
    pub lines: Vec<String>,
    /// Name and value.
    pub rows: Vec<(String, String)>,
    pub charts: Vec<Chart>,
}

/// A way to another page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub words: String,
    pub href: String,
}

/// A whole HTML document.
pub fn page(title: &str, sections: &[Section]) -> String {
    let sections: String = sections.iter().map(section).collect();
    document(title, "", &sections)
}

/// The same with a way back at its top.
pub fn linked_page(title: &str, back: &Link, sections: &[Section]) -> String {
    let nav = format!("<nav>{}</nav>\n", anchor(&back.words, &back.href));
    let sections: String = sections.iter().map(section).collect();
    document(title, &nav, &sections)
}

pub(super) fn anchor(words: &str, href: &str) -> String {
    format!("<a href=\"{}\">{}</a>", escape(href), escape(words))
}

/// `above` and `below` the title are HTML.
pub(super) fn document(title: &str, above: &str, below: &str) -> String {
    let style = format!("{}{}", style(), layout());
    let hash = base64(&Sha256::digest(&style));
    let title = escape(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n<main>\n\
         {above}<h1>{title}</h1>\n{below}</main>\n</body>\n</html>\n"
    )
}

/// A chart for a page that has [`style`]: laid out for phones and for desktops,
/// of which the page shows one.
pub fn figure(chart: &Chart) -> String {
    format!(
        "<figure class=\"dg-figure\"><div class=\"dg-wide\">{}</div>\
         <div class=\"dg-narrow\">{}</div></figure>\n",
        draw::document(chart, Width::Desktop, None),
        draw::document(chart, Width::Phone, None)
    )
}

/// The style sheet that [`figure`] needs on its page, once.
pub fn style() -> String {
    format!(
        "{}.dg-figure{{margin:0}}.dg-figure svg{{display:block;width:100%;height:auto}}\
         .dg-narrow{{display:none}}\
         @media (max-width:719px){{.dg-wide{{display:none}}.dg-narrow{{display:block}}}}",
        css(Theme::Auto)
    )
}

pub(super) fn section(section: &Section) -> String {
    let tone = match section.tone {
        Tone::Quiet => "quiet",
        Tone::Good => "good",
        Tone::Warn => "warn",
        Tone::Bad => "bad",
    };
    let lines: String =
        section.lines.iter().map(|line| format!("<p>{}</p>\n", escape(line))).collect();
    let said = if lines.is_empty() {
        lines
    } else {
        format!("<div class=\"said {tone}\">\n{lines}</div>\n")
    };
    let row = |(name, value): &(String, String)| {
        format!("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", escape(name), escape(value))
    };
    let rows: String = section.rows.iter().map(row).collect();
    let table = if rows.is_empty() { rows } else { format!("<table>\n{rows}</table>\n") };
    let charts: String = section.charts.iter().map(figure).collect();
    let heading = escape(&section.heading);
    format!("<section>\n<h2>{heading}</h2>\n{said}{table}{charts}</section>\n")
}

fn layout() -> String {
    colours() + LAYOUT
}

/// The palettes as variables of a style sheet, light and dark.
pub fn colours() -> String {
    let (light, dark) = (variables(&LIGHT, "#f3f5f7"), variables(&DARK, "#0c0f13"));
    format!("{light}@media (prefers-color-scheme:dark){{{dark}}}")
}

fn variables(palette: &Palette, ground: &str) -> String {
    let Palette { face, ink, quiet, grid, axis, limit, normal, lines, .. } = palette;
    format!(
        ":root{{--ground:{ground};--face:{face};--ink:{ink};--quiet:{quiet};--grid:{grid};\
         --axis:{axis};--acts:{};--bad:{limit};--good:{normal};--warn:{}}}",
        lines[0], lines[2]
    )
}

const LAYOUT: &str = "\
*{box-sizing:border-box}\
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,-apple-system,\
'Segoe UI',Roboto,'DejaVu Sans',sans-serif;-webkit-text-size-adjust:100%}\
a{color:inherit}nav{margin:0 0 10px;font-size:14px}nav a{color:var(--quiet)}\
.wide{overflow-x:auto}.list th{width:auto;white-space:nowrap}.list td{white-space:nowrap;border-color:var(--grid)}\
.list td.good{color:var(--good)}.list td.bad{color:var(--bad)}.list td.warn{color:var(--warn)}\
main{max-width:832px;margin:0 auto;padding:24px 16px 48px}\
h1{font-size:22px;line-height:1.25;margin:0 0 20px;overflow-wrap:anywhere}\
h2{font-size:16px;margin:28px 0 10px;overflow-wrap:anywhere}\
p{margin:0;overflow-wrap:anywhere}p+p{margin-top:4px}\
.said{border-left:4px solid var(--quiet);background:var(--face);border-radius:0 8px 8px 0;\
padding:10px 14px;margin:0 0 12px}\
.good{border-color:var(--good)}.warn{border-color:var(--warn)}.bad{border-color:var(--bad)}\
table{width:100%;border-collapse:separate;border-spacing:0;background:var(--face);\
border:1px solid var(--grid);border-radius:8px;margin:0 0 12px;font-variant-numeric:tabular-nums}\
th,td{text-align:left;vertical-align:top;padding:7px 14px;border-top:1px solid var(--grid);\
overflow-wrap:anywhere}\
tr:first-child>*{border-top:0}\
th{width:34%;font-weight:400;color:var(--quiet)}\
.dg-figure{border:1px solid var(--grid);border-radius:8px;overflow:hidden;\
background:var(--face);margin:0 0 12px}\
.dg-narrow svg{max-width:520px}\
@media (max-width:719px){main{padding:16px 10px 32px}th,td{padding:7px 10px}}\
@media print{body{background:none}section{break-inside:avoid}}";

/// Of a hash in the policy of the page.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let byte = |index: usize| usize::from(three.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..=three.len() {
            text.push(char::from(DIGITS[bits >> (18 - 6 * place) & 63]));
        }
    }
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}
