//! Block Kit for a terminal.

use serde_json::Value;

/// A message in plain text: its blocks, or else its text.
pub fn render(text: &str, blocks: &Value) -> String {
    let blocks = blocks.as_array().map_or(&[] as &[Value], Vec::as_slice);
    if blocks.is_empty() {
        return readable(text);
    }
    blocks.iter().map(block).collect::<Vec<_>>().join("\n")
}

fn block(block: &Value) -> String {
    let elements = |name: &str, show: fn(&Value) -> String, between: &str| {
        let all = block[name].as_array().into_iter().flatten();
        all.map(show).collect::<Vec<_>>().join(between)
    };
    match block["type"].as_str().unwrap_or_default() {
        "header" => format!("# {}", object(&block["text"])),
        "section" => {
            let parts = [object(&block["text"]), elements("fields", field, "\n")];
            let parts = parts.into_iter().filter(|part| !part.is_empty());
            parts.collect::<Vec<_>>().join("\n")
        }
        "context" => elements("elements", element, "  "),
        "actions" => elements("elements", element, " "),
        "rich_text" => elements("elements", rich, "\n"),
        "image" => element(block),
        "divider" => "────────".into(),
        other => format!("({other})"),
    }
}

/// Rich text is shown as it is: Slack parses nothing in it.
fn rich(element: &Value) -> String {
    let inner = || element["elements"].as_array().into_iter().flatten().map(rich);
    match element["type"].as_str().unwrap_or_default() {
        "rich_text_list" => inner().map(|item| format!("• {item}")).collect::<Vec<_>>().join("\n"),
        "rich_text_section" | "rich_text_preformatted" => inner().collect(),
        "emoji" => format!(":{}:", element["name"].as_str().unwrap_or_default()),
        _ => element["text"].as_str().unwrap_or_default().to_owned(),
    }
}

fn element(element: &Value) -> String {
    match element["type"].as_str().unwrap_or_default() {
        "button" => format!("[{}]", object(&element["text"])),
        "static_select" => format!("[{} ▾]", object(&element["placeholder"])),
        "image" => format!("(image: {})", element["alt_text"].as_str().unwrap_or_default()),
        _ => object(element),
    }
}

/// A field is a name above a value; on a terminal they stand side by side.
fn field(field: &Value) -> String {
    object(field).replacen('\n', " ", 1)
}

fn object(object: &Value) -> String {
    readable(object["text"].as_str().unwrap_or_default())
}

/// mrkdwn with its links and escapes spelled out; emphasis stays as it is written.
fn readable(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        let Some((link, behind)) = after.split_once('>') else { break };
        plain.push_str(before);
        match link.split_once('|') {
            Some((target, label)) if target.starts_with("http") => {
                plain.extend([label, " (", target, ")"]);
            }
            Some((_, label)) => plain.push_str(label),
            None => plain.push_str(link.trim_start_matches('!')),
        }
        rest = behind;
    }
    plain.push_str(rest);
    plain.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}
