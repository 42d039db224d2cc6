//! A page that lists others.

use super::page::{Section, anchor, document, section};
use super::text::escape;
use crate::model::Tone;

/// A table whose cells may lead to other pages.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing {
    pub columns: Vec<String>,
    /// As many cells as columns.
    pub rows: Vec<Vec<Cell>>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    pub words: String,
    /// A relative address; what is no plain file name leads nowhere.
    pub href: Option<String>,
    /// Colours the words.
    pub tone: Tone,
}

/// A whole HTML document: the sections, and the table below them.
pub fn listing(title: &str, sections: &[Section], table: &Listing) -> String {
    let sections: String = sections.iter().map(section).collect();
    let head: String = table
        .columns
        .iter()
        .map(|name| format!("<th scope=\"col\">{}</th>", escape(name)))
        .collect();
    let row = |cells: &Vec<Cell>| {
        let cells: String = cells.iter().map(cell).collect();
        format!("<tr>{cells}</tr>\n")
    };
    let rows: String = table.rows.iter().map(row).collect();
    let below = format!(
        "{sections}<section>\n<div class=\"wide\"><table class=\"list\">\n\
         <thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n</section>\n"
    );
    document(title, "", &below)
}

fn cell(cell: &Cell) -> String {
    let class = match cell.tone {
        Tone::Quiet => "",
        Tone::Good => " class=\"good\"",
        Tone::Warn => " class=\"warn\"",
        Tone::Bad => " class=\"bad\"",
    };
    let is_file = |href: &&String| !href.contains(['/', ':', '\\', '?', '#', '%']);
    let words = match cell.href.as_ref().filter(is_file) {
        Some(href) => anchor(&cell.words, href),
        None => escape(&cell.words),
    };
    format!("<td{class}>{words}</td>")
}
