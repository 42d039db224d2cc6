//! Mistakes of the settings in the words of a person.

/// What the reader of YAML said, without its types' names, and without the value: it may be
/// a secret in the wrong place.
pub(super) fn mistake(error: &serde_norway::Error) -> anyhow::Error {
    anyhow::anyhow!(in_words(&error.to_string()))
}

/// `aws: invalid type: string "x", expected ... at line 2 column 6` as a person would say it.
fn in_words(message: &str) -> String {
    let split = message.split_once("invalid type: ");
    let wrong = split.or_else(|| message.split_once("invalid value: ")).and_then(|(key, rest)| {
        // What stands there is up to the last word of it: its text may have any in it.
        let (found, rest) = rest.rsplit_once(", expected ")?;
        Some((key, found, rest))
    });
    let Some((key, found, rest)) = wrong else { return missing(message) };
    let (expected, place) = match rest.rsplit_once(" at line ") {
        Some((expected, place)) => (expected, format!(" at line {place}")),
        None => (rest, String::new()),
    };
    let found = match found.split_whitespace().next().unwrap_or_default() {
        "string" => "a text",
        "map" => "a mapping",
        "sequence" => "a list",
        "boolean" => "`true` or `false`",
        "integer" | "floating" => "a number",
        "unit" => "nothing",
        _ => "something else",
    };
    let expected = match expected {
        "a map" => "a mapping",
        "a sequence" => "a list: `[...]`, or lines that begin with `- `",
        "a string" => "a text",
        "a boolean" => "`true` or `false`",
        "path string" => "a path",
        "u32" | "u64" | "usize" => "a whole number, 0 or more",
        expected => expected,
    };
    format!("{key}expected {expected}, found {found}{place}")
}

/// `webhooks.a: missing field `secret` at line 2` as a person would say it.
fn missing(message: &str) -> String {
    let Some((key, rest)) = message.split_once("missing field `") else {
        return message.to_owned();
    };
    let Some((field, place)) = rest.split_once('`') else { return message.to_owned() };
    let mend = match field {
        "secret" | "routing_key" | "token" | "password" => {
            format!(": write `{field}: {{ env: NAME }}` or `{field}: {{ file: PATH }}`")
        }
        _ => String::new(),
    };
    format!("{key}`{field}` is missing{mend}{place}")
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;

    #[test]
    fn a_value_of_the_wrong_shape_is_told_by_the_right_one() {
        let cases = [
            ("discover: { sqs: 'https://sqs.eu-west-1.amazonaws.com/1/q' }", "queue: https://sqs."),
            ("discover: { sns: 'arn:aws:sns:eu-west-1:1:t' }", "topics: [arn:aws:sns:"),
            ("discover: { ecs: shop }", "{ clusters: [NAME] }"),
            ("discover: 15s", "{ ecs: "),
            ("aws: eu-west-1", "{ region: eu-west-1 }"),
            ("prometheus: 'http://a'", "{ url: http://"),
            ("brake: 3", "{ rollbacks: 3, within: 10m }"),
            ("log: debug", "{ level: info, format: text }"),
            ("slack: xoxb-1", "{ token: { env: NAME } }"),
            ("targets: [a]", "a mapping, found a list"),
            ("targets: { a: eu-west-1 }", "{ region: eu-west-1, role_arn: "),
            ("tokens: { name: a }", "a list"),
            ("tokens: [a]", "{ name: ci, role: deploy, "),
            ("open_reads: yes please", "`true` or `false`, found a text"),
            ("brake: { rollbacks: -1 }", "rollbacks: expected a whole number, 0 or more"),
            ("brake: { rollbacks: 1.5 }", "rollbacks: expected a whole number, 0 or more"),
            ("discover: { ecs: { every: 15 } }", "discover.ecs.every: `15` is no length of time"),
            ("advertise: foo", "advertise: `foo` is no address: write http://10.0.0.5:8080"),
            ("discover: { sqs: { queue: q } }", "discover.sqs.queue: `q` is no queue's URL"),
            ("store: dg.db", "write sqlite://"),
            ("email: [a]", "a mail server and lists"),
            ("email: { smtp: x, from: a@b.c, to: {} }", "{ url: smtps://HOST"),
            ("pagerduty: { a: x }", "{ routing_key: "),
            ("webhooks: { a: x }", "{ url: https://"),
            ("webhooks: { a: { url: 'https://a' } }", "`secret` is missing: write `secret: {"),
            ("listen: 80", "listen: `80` is no address to listen on"),
        ];
        for (text, told) in cases {
            let wrong = read(&format!("{text}\n")).unwrap_err();
            let plain = !wrong.contains("struct") && !wrong.contains("invalid type");
            assert!(wrong.contains(told) && plain, "{text}: {wrong}");
            let key = text.split(':').next().unwrap();
            assert!(wrong.contains(&format!(" {key}")), "{text}: {wrong}");
            assert!(!wrong.contains("xoxb"), "{text}: {wrong}");
        }
    }
}
