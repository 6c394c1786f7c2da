//! `headgate decode`: a message explained field by field, offline.

use std::path::{Path, PathBuf};

use clap::Args;
use headgate_codecs::dissect::Dissection;
use headgate_codecs::registry::{Protocol, Transport};
use headgate_core::text::from_hex;
use serde_json::{Value, json};

use super::failure::Failure;
use super::output::{self, Listing};
use super::{capture, hex, http_messages, settings};

/// Explain messages of a protocol, field by field. Exit status 1 if one is broken.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  headgate decode PROTOCOL '0a 1b 2c'             hexadecimal digits
  headgate decode PROTOCOL @order.emm             a file, byte by byte (the name counts for protocols over files)
  headgate decode PROTOCOL @trace.pcapng --port 9001    the TCP payload of a capture, each direction by itself
  xxd -p frame.bin | headgate decode PROTOCOL - --hex
  headgate requests show ID --exchange --json     has the bytes of a request")]
pub(super) struct Decode {
    /// The protocol; `headgate providers --protocols` lists them.
    protocol: String,
    /// Hexadecimal digits, @FILE (its bytes, or a pcap or pcapng capture), or - for standard input.
    #[arg(default_value = "-", value_name = "HEX|@FILE|-")]
    input: String,
    /// What stands under [provider.settings] at the gateway: TOML, or JSON in a file named .json.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// The file or standard input holds hexadecimal digits.
    #[arg(long)]
    hex: bool,
    /// Of a capture: only conversations with this TCP port.
    #[arg(long)]
    port: Option<u16>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Bytes that belong together, and what they are called.
struct Source {
    title: String,
    /// The name of the file they came from.
    name: Option<String>,
    bytes: Vec<u8>,
}

impl Decode {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let protocol = settings::protocol(&self.protocol)?;
        let values = settings::settings(self.settings.as_deref())?;
        let mut broken = false;
        let mut explained = Vec::new();
        for source in self.sources(protocol.transport)? {
            let messages = (protocol.decode)(&values, source.name.as_deref(), &source.bytes)
                .map_err(|error| settings::refused(&error, self.settings.as_deref()))?;
            broken |= messages.iter().any(|message| message.broken.is_some());
            explained.push((source, messages));
        }
        if self.json {
            print_json(protocol, &explained);
        } else {
            for (source, messages) in &explained {
                print(source, messages, explained.len() > 1);
            }
        }
        Ok(u8::from(broken))
    }

    fn sources(&self, transport: Transport) -> Result<Vec<Source>, Failure> {
        let (bytes, name) = match self.input.strip_prefix('@') {
            Some(path) => {
                let name = Path::new(path).file_name().map(|name| name.to_string_lossy().into_owned());
                (settings::file(Path::new(path))?, name)
            }
            None if self.input == "-" => (settings::stdin()?, None),
            None => {
                let bytes = digits(&self.input)?;
                return Ok(vec![Source { title: "argument".into(), name: None, bytes }]);
            }
        };
        if capture::is_capture(&bytes) {
            let streams = capture::streams(&bytes).map_err(|text| {
                Failure::new(format!("the capture can not be read: {text}"))
                    .help("save it anew as pcapng, from Ethernet, loopback or Linux cooked")
            })?;
            let wanted = |stream: &capture::Stream| self.port.is_none_or(|port| stream.has_port(port));
            let sources: Vec<Source> =
                streams.into_iter().filter(wanted).flat_map(|stream| messages(stream, transport)).collect();
            if sources.is_empty() {
                return Err(Failure::new("the capture holds no TCP payload to explain")
                    .help("look without --port, or capture longer"));
            }
            return Ok(sources);
        }
        let bytes = if self.hex { digits(&String::from_utf8_lossy(&bytes))? } else { bytes };
        if bytes.is_empty() {
            return Err(Failure::new("there are no bytes to explain")
                .help("give hexadecimal digits, @FILE, or bytes on standard input"));
        }
        Ok(vec![Source { title: name.clone().unwrap_or_else(|| "standard input".into()), name, bytes }])
    }
}

/// What is explained by itself of a direction of a conversation: all of it, or each HTTP message.
fn messages(stream: capture::Stream, transport: Transport) -> Vec<Source> {
    let title = stream.title();
    if transport != Transport::Http {
        return vec![Source { title, name: None, bytes: stream.payload }];
    }
    let messages = http_messages::split(&stream.payload).into_iter().enumerate();
    messages
        .map(|(number, bytes)| Source { title: format!("{title}, message {}", number + 1), name: None, bytes })
        .collect()
}

fn digits(text: &str) -> Result<Vec<u8>, Failure> {
    let text: String = text.split_whitespace().map(|word| word.strip_prefix("0x").unwrap_or(word)).collect();
    from_hex(&text.replace([':', '-'], ""))
        .map_err(|error| Failure::new(error.to_string()).help("name a file as in @FILE, or give hexadecimal digits"))
}

fn print_json(protocol: &Protocol, explained: &[(Source, Vec<Dissection>)]) {
    let sources: Vec<Value> = explained
        .iter()
        .map(|(source, messages)| json!({ "source": source.title, "bytes": source.bytes.len(), "messages": messages }))
        .collect();
    output::json(&json!({ "protocol": protocol.name, "sources": sources }));
}

fn print(source: &Source, messages: &[Dissection], titled: bool) {
    if titled {
        output::line(format_args!("== {}, {} bytes", source.title, source.bytes.len()));
    }
    if messages.is_empty() {
        output::note("There is no message in it.");
    }
    for (number, message) in messages.iter().enumerate() {
        output::line(format_args!("{}. {}", number + 1, message.title));
        let mut listing = Listing::new(&["offset", "length", "bytes", "field", "value", "meaning"]);
        for field in &message.fields {
            let end = field.offset.saturating_add(field.length).min(source.bytes.len());
            let bytes = source.bytes.get(field.offset..end).unwrap_or_default();
            listing.row([
                field.offset.to_string(),
                field.length.to_string(),
                hex::brief(bytes),
                field.name.clone(),
                field.value.clone(),
                field.meaning.clone(),
            ]);
        }
        listing.print("It has no field that can be read.");
        if let Some(broken) = &message.broken {
            let kind = if broken.incomplete { "incomplete" } else { "broken" };
            output::line(format_args!("{kind} at byte {}: {}", broken.offset, broken.text));
            let rest = source.bytes.get(broken.offset..).unwrap_or_default();
            if !rest.is_empty() {
                output::line(format_args!("  there: {}", hex::brief(rest)));
            }
        }
        output::line("");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_read_however_people_write_them() {
        for text in ["0a1b", "0A 1B", "0x0a 0x1b", "0a:1b", "0a-1b\n"] {
            assert_eq!(digits(text).unwrap(), [0x0a, 0x1b], "{text}");
        }
        assert!(digits("0a1").is_err() && digits("hello").is_err());
    }
}
