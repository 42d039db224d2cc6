//! Slack's published limits on messages and Block Kit.

use serde_json::Value;

/// Slack's error, and which limit was broken by what.
type Broken = (&'static str, String);

/// Every limit that a message breaks.
pub fn broken(arguments: &Value) -> Vec<Broken> {
    let mut found = Vec::new();
    let text = arguments["text"].as_str().unwrap_or_default();
    let empty = Vec::new();
    let blocks = arguments["blocks"].as_array().unwrap_or(&empty);
    if text.is_empty() && blocks.is_empty() {
        found.push(("no_text", "neither text nor blocks".into()));
    }
    if text.is_empty() && !blocks.is_empty() {
        found.push(("no_text", "blocks without a text for notifications".into()));
    }
    if text.chars().count() > 40_000 {
        found.push(("msg_too_long", format!("text of {} characters", text.chars().count())));
    }
    if blocks.len() > 50 {
        found.push(("msg_blocks_too_long", format!("{} blocks", blocks.len())));
    }
    for (index, block) in blocks.iter().enumerate() {
        let mut faults = Vec::new();
        check_block(block, &mut faults);
        let place = |fault| ("invalid_blocks", format!("block {index}: {fault}"));
        found.extend(faults.into_iter().map(place));
    }
    let total: usize = blocks.iter().map(characters).sum();
    if total > 13_000 {
        found.push(("msg_blocks_too_long", format!("{total} characters in all blocks")));
    }
    let ids: Vec<&str> = blocks.iter().filter_map(|block| block["block_id"].as_str()).collect();
    if ids.iter().enumerate().any(|(index, id)| ids[..index].contains(id)) {
        found.push(("invalid_blocks", "two blocks of one id".into()));
    }
    let metadata = &arguments["metadata"];
    let complete = metadata["event_type"].is_string() && metadata["event_payload"].is_object();
    if !metadata.is_null() && !complete {
        found.push(("invalid_metadata_format", format!("metadata {metadata}")));
    }
    found
}

fn check_block(block: &Value, faults: &mut Vec<String>) {
    length(&block["block_id"], "block_id", 255, faults);
    match block["type"].as_str().unwrap_or_default() {
        "header" => {
            if block["text"]["type"] != "plain_text" {
                faults.push("a header takes plain_text".into());
            }
            text_object(&block["text"], "header text", 150, faults);
        }
        "section" => check_section(block, faults),
        "context" => {
            let elements = list(block, "elements", 10, faults);
            for element in elements {
                if element["type"] == "image" {
                    check_image(element, faults);
                } else {
                    text_object(element, "context text", 3000, faults);
                }
            }
        }
        "actions" => {
            for element in list(block, "elements", 25, faults) {
                match element["type"].as_str().unwrap_or_default() {
                    "button" => check_button(element, faults),
                    "static_select" => check_select(element, faults),
                    other => faults.push(format!("an action of type `{other}`")),
                }
            }
        }
        "rich_text" => {
            for element in list(block, "elements", usize::MAX, faults) {
                check_rich(element, faults);
            }
        }
        "image" => check_image(block, faults),
        "divider" => {}
        other => faults.push(format!("a block of type `{other}`")),
    }
}

fn check_section(block: &Value, faults: &mut Vec<String>) {
    if block["text"].is_null() && block["fields"].is_null() {
        faults.push("a section with neither text nor fields".into());
    }
    if !block["text"].is_null() {
        text_object(&block["text"], "section text", 3000, faults);
    }
    if !block["fields"].is_null() {
        for field in list(block, "fields", 10, faults) {
            text_object(field, "field", 2000, faults);
        }
    }
    if block["accessory"]["type"] == "button" {
        check_button(&block["accessory"], faults);
    }
}

/// Sections and lists hold further elements; texts and emoji are the leaves.
fn check_rich(element: &Value, faults: &mut Vec<String>) {
    let name = match element["type"].as_str().unwrap_or_default() {
        "rich_text_section" | "rich_text_list" | "rich_text_preformatted" => {
            for inner in list(element, "elements", usize::MAX, faults) {
                check_rich(inner, faults);
            }
            return;
        }
        "text" => "text",
        "emoji" => "name",
        other => return faults.push(format!("a rich text element of type `{other}`")),
    };
    if element[name].as_str().unwrap_or_default().is_empty() {
        faults.push(format!("rich text with an empty {name}"));
    }
}

fn check_button(element: &Value, faults: &mut Vec<String>) {
    if element["type"] != "button" {
        return;
    }
    if element["text"]["type"] != "plain_text" {
        faults.push("a button takes plain_text".into());
    }
    text_object(&element["text"], "button text", 75, faults);
    length(&element["action_id"], "action_id", 255, faults);
    length(&element["value"], "button value", 2000, faults);
    length(&element["url"], "button url", 3000, faults);
    check_confirm(&element["confirm"], faults);
}

fn check_select(element: &Value, faults: &mut Vec<String>) {
    text_object(&element["placeholder"], "placeholder", 150, faults);
    length(&element["action_id"], "action_id", 255, faults);
    for option in list(element, "options", 100, faults) {
        text_object(&option["text"], "option text", 75, faults);
        length(&option["value"], "option value", 150, faults);
    }
    check_confirm(&element["confirm"], faults);
}

fn check_confirm(confirm: &Value, faults: &mut Vec<String>) {
    if confirm.is_null() {
        return;
    }
    for (part, most) in [("title", 100), ("text", 300), ("confirm", 30), ("deny", 30)] {
        text_object(&confirm[part], &format!("confirm {part}"), most, faults);
    }
}

/// Of all texts inside.
fn characters(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(characters).sum(),
        Value::Object(members) => {
            let own = members.get("text").and_then(Value::as_str).map_or(0, |t| t.chars().count());
            own + members.values().map(characters).sum::<usize>()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

fn check_image(image: &Value, faults: &mut Vec<String>) {
    if image["alt_text"].as_str().unwrap_or_default().is_empty() {
        faults.push("an image without alt_text".into());
    }
    length(&image["alt_text"], "alt_text", 2000, faults);
    length(&image["image_url"], "image_url", 3000, faults);
}

fn text_object(object: &Value, what: &str, most: usize, faults: &mut Vec<String>) {
    let kind = object["type"].as_str().unwrap_or_default();
    if !matches!(kind, "plain_text" | "mrkdwn") {
        faults.push(format!("{what} of type `{kind}`"));
    }
    if object["text"].as_str().unwrap_or_default().is_empty() {
        faults.push(format!("{what} is empty"));
    }
    length(&object["text"], what, most, faults);
}

fn length(text: &Value, what: &str, most: usize, faults: &mut Vec<String>) {
    let count = text.as_str().unwrap_or_default().chars().count();
    if count > most {
        faults.push(format!("{what} of {count} characters, at most {most}"));
    }
}

fn list<'a>(block: &'a Value, name: &str, most: usize, faults: &mut Vec<String>) -> &'a [Value] {
    let items = block[name].as_array().map_or(&[] as &[Value], Vec::as_slice);
    if items.is_empty() || items.len() > most {
        faults.push(format!("{} {name}, 1 to {most} are allowed", items.len()));
    }
    items
}
