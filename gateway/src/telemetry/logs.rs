//! Logs on standard error: coloured lines on a terminal, one JSON object a line elsewhere.
//!
//! Levels: `error` somebody must act now; `warn` somebody should look; `info` what an operator follows (start, stop,
//! links, switches); `debug` single requests, with subscriber data; `trace` bytes.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Lines for people on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// Lines for people.
    Human,
    /// One JSON object a line.
    Json,
}

/// Why logging was not set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter can not be read.
    #[error(
        "{0:?} is not a log filter; write a level (error, warn, info, debug, trace) or as in \"info,headgate::drive=debug\""
    )]
    Filter(String),
    /// It was set up before.
    #[error("logging is set up already")]
    Twice,
}

/// Starts logging to standard error. `filter` is a level, or levels by module as in `info,headgate::drive=debug`.
///
/// # Errors
/// [`LogError`] if the filter can not be read, or logging runs already.
pub fn start(filter: &str, format: Format) -> Result<(), LogError> {
    let terminal = io::stderr().is_terminal();
    let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let subscriber = subscriber(filter, human(format, terminal), colour, io::stderr)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::Twice)
}

fn human(format: Format, terminal: bool) -> bool {
    match format {
        Format::Auto => terminal,
        Format::Human => true,
        Format::Json => false,
    }
}

/// What turns events into lines.
fn subscriber<W>(
    filter: &str,
    human: bool,
    colour: bool,
    writer: W,
) -> Result<Box<dyn tracing::Subscriber + Send + Sync>, LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(filter).map_err(|_| LogError::Filter(filter.to_owned()))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(colour);
    Ok(if human { Box::new(lines.finish()) } else { Box::new(lines.json().flatten_event(true).finish()) })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(filter: &str, human: bool) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber = subscriber(filter, human, false, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(provider = "alpha", "link up");
            tracing::debug!("hidden");
        });
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn collectors_get_one_object_a_line() {
        let text = lines("info", false);
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((json["level"].as_str(), json["message"].as_str()), (Some("INFO"), Some("link up")));
        assert_eq!(json["provider"], "alpha");
        assert!(json["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    }

    #[test]
    fn people_get_lines_without_colour_codes_off_a_terminal() {
        let text = lines("info", true);
        assert!(text.contains("link up") && text.contains("provider=\"alpha\"") && !text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn the_format_follows_the_terminal_unless_told() {
        assert_eq!((human(Format::Auto, true), human(Format::Auto, false)), (true, false));
        assert_eq!((human(Format::Human, false), human(Format::Json, true)), (true, false));
    }

    #[test]
    fn a_wrong_filter_says_what_a_right_one_is() {
        let error = subscriber("headgate=loud", true, false, io::sink).err().unwrap();
        assert!(error.to_string().contains("is not a log filter"), "{error}");
    }
}
