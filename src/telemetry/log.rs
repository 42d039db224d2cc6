//! The daemon's log. Where there are traces, a line about a watch carries its trace's id.

use std::fmt;

use opentelemetry::trace::TraceId;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::trace;
use crate::model::WatchId;

/// How the log is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// What of the libraries' is left out, where `filter` does not name it.
const QUIET: &str = "aws_config::imds::region=error";

/// Sends the log to stderr. `filter` is tracing's, such as `info,deployguard=debug`; `traced`:
/// whether there are traces to be found by it.
pub fn init_log(format: LogFormat, filter: &str, traced: bool) -> anyhow::Result<()> {
    // That there is no region in a machine's metadata is said in our words, once and short.
    let filter = tracing_subscriber::EnvFilter::try_new(format!("{QUIET},{filter}"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => builder
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .map_fmt_fields(|inner| Found { inner, traced })
            .try_init(),
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .map_event_format(|inner| Found { inner, traced })
            .try_init(),
    }
    .map_err(|error| anyhow::anyhow!("{error}"))
}

/// Writes as `inner` does, with the trace of the watch that a line is about.
struct Found<F> {
    inner: F,
    traced: bool,
}

/// As text: the fields of a line.
impl<'writer, F: FormatFields<'writer>> FormatFields<'writer> for Found<F> {
    fn format_fields<R: RecordFields>(
        &self,
        mut writer: Writer<'writer>,
        fields: R,
    ) -> fmt::Result {
        let mut about = About::default();
        if self.traced {
            fields.record(&mut about);
        }
        // In front, because the writer is the inner one's then.
        if let Some(id) = about.0 {
            write!(writer, "trace_id={id} ")?;
        }
        self.inner.format_fields(writer, fields)
    }
}

/// As JSON: the whole line, which is one object.
impl<S, N, F> FormatEvent<S, N> for Found<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut about = About::default();
        if self.traced {
            event.record(&mut about);
        }
        let Some(id) = about.0 else {
            return self.inner.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.inner.format_event(context, Writer::new(&mut line), event)?;
        match line.trim_end().strip_suffix('}') {
            Some(open) => writeln!(writer, "{open},\"trace_id\":\"{id}\"}}"),
            None => writer.write_str(&line),
        }
    }
}

/// The trace of the watch that a line names.
#[derive(Default)]
struct About(Option<TraceId>);

impl Visit for About {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "watch" {
            self.0 = Some(trace::of_watch(&WatchId::typed(value)));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "watch" {
            self.record_str(field, &format!("{value:?}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::Path;
    use std::sync::Arc;

    use super::*;

    fn line(path: &Path, format: LogFormat, traced: bool) -> String {
        let file = Arc::new(File::create(path).unwrap());
        let builder = tracing_subscriber::fmt().with_ansi(false).with_writer(file);
        let say = || tracing::info!(watch = %WatchId::typed("api-1"), "said");
        match format {
            LogFormat::Text => {
                let log = builder.map_fmt_fields(|inner| Found { inner, traced }).finish();
                tracing::subscriber::with_default(log, say);
            }
            LogFormat::Json => {
                let builder = builder.json().flatten_event(true);
                let log = builder.map_event_format(|inner| Found { inner, traced }).finish();
                tracing::subscriber::with_default(log, say);
            }
        }
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn a_line_about_a_watch_leads_to_its_trace_where_there_are_traces() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let id = trace::of_watch(&WatchId::typed("api-1")).to_string();
        let text = line(&path, LogFormat::Text, true);
        assert!(text.ends_with(&format!("trace_id={id} said watch=api-1\n")), "{text}");
        let json = line(&path, LogFormat::Json, true);
        let said: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(said["trace_id"], id.as_str(), "{json}");
        assert_eq!((&said["watch"], &said["message"]), (&"api-1".into(), &"said".into()));
        for format in [LogFormat::Text, LogFormat::Json] {
            let without = line(&path, format, false);
            assert!(without.contains("said") && !without.contains("trace_id"), "{without}");
        }
    }
}
