//! The daemon's log.

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

/// Sends the log to stderr. `filter` is tracing's, such as `info,deployguard=debug`.
pub fn init_log(format: LogFormat, filter: &str) -> anyhow::Result<()> {
    // That there is no region in a machine's metadata is said in our words, once and short.
    let filter = tracing_subscriber::EnvFilter::try_new(format!("{QUIET},{filter}"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => {
            builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init()
        }
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    }
    .map_err(|error| anyhow::anyhow!("{error}"))
}
