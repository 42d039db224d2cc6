//! Block Kit as a page, near enough to how Slack shows it.

use serde_json::Value;

/// Blocks in HTML.
pub fn html(blocks: &Value) -> String {
    blocks.as_array().into_iter().flatten().map(block).collect()
}

fn block(block: &Value) -> String {
    match block["type"].as_str().unwrap_or_default() {
        "header" => format!("<h2>{}</h2>", object(&block["text"])),
        "section" => {
            let text = object(&block["text"]);
            let fields = each(block, "fields", |field| format!("<div>{}</div>", object(field)));
            format!("<div>{text}</div><div class=fields>{fields}</div>")
        }
        "context" => {
            let elements = each(block, "elements", |one| format!("<span>{}</span>", object(one)));
            format!("<div class=context>{elements}</div>")
        }
        "actions" => format!("<div>{}</div>", each(block, "elements", action)),
        "rich_text" => each(block, "elements", rich),
        other => format!("<div>({other})</div>"),
    }
}

fn action(element: &Value) -> String {
    let style = element["style"].as_str().unwrap_or_default();
    let confirm = &element["confirm"];
    let asked = if confirm.is_null() {
        String::new()
    } else {
        let [title, text, yes] = ["title", "text", "confirm"].map(|part| object(&confirm[part]));
        format!("<div class=confirm><b>{title}</b> {text} [{yes}]</div>")
    };
    if element["type"] == "static_select" {
        let options = each(element, "options", |option| format!("{}; ", object(&option["text"])));
        let label = object(&element["placeholder"]);
        return format!("<button>{label} ▾</button><div class=confirm>{options}</div>");
    }
    format!("<button class='{style}'>{}</button>{asked}", object(&element["text"]))
}

fn rich(element: &Value) -> String {
    let inner = || each(element, "elements", rich);
    match element["type"].as_str().unwrap_or_default() {
        "rich_text_list" => {
            let items = each(element, "elements", |item| format!("<li>{}</li>", rich(item)));
            format!("<ul>{items}</ul>")
        }
        "rich_text_section" => format!("<div>{}</div>", inner()),
        "rich_text_preformatted" => format!("<pre>{}</pre>", inner()),
        "emoji" => emoji(element["name"].as_str().unwrap_or_default()).to_owned(),
        _ => {
            let text = escape(element["text"].as_str().unwrap_or_default());
            let text = text.replace("  ", "&nbsp; ");
            if element["style"]["bold"] == true { format!("<b>{text}</b>") } else { text }
        }
    }
}

fn each(value: &Value, name: &str, show: impl Fn(&Value) -> String) -> String {
    value[name].as_array().into_iter().flatten().map(show).collect()
}

/// Plain text, or mrkdwn as far as we write it: `*bold*`, `:emoji:` and `<link|label>`.
fn object(object: &Value) -> String {
    let text = object["text"].as_str().unwrap_or_default();
    if object["type"] != "mrkdwn" {
        return escape(text);
    }
    let mut html = text.replace('\n', "<br>");
    for name in ["x", "warning", "grey_question", "white_circle"] {
        html = html.replace(&format!(":{name}:"), emoji(name));
    }
    html = html
        .split('*')
        .enumerate()
        .map(
            |(index, part)| if index % 2 == 1 { format!("<b>{part}</b>") } else { part.to_owned() },
        )
        .collect();
    if let Some((target, label)) = html.strip_prefix('<').and_then(|rest| rest.split_once('|')) {
        return format!("<a href='{target}'>{}</a>", label.trim_end_matches('>'));
    }
    html.replace("<!subteam^", "@").replace("<@", "@")
}

fn emoji(name: &str) -> &'static str {
    match name {
        "mag" => "🔍",
        "white_check_mark" => "✅",
        "warning" => "⚠️",
        "rotating_light" => "🚨",
        "x" => "❌",
        "grey_question" => "❔",
        "white_circle" => "⚪",
        _ => "▫️",
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
