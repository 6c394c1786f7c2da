//! Files explained line by line: what `headgate decode conax-sms` prints.

use headgate_core::text::{from_hex, to_hex};
use serde_json::Value;

use crate::dissect::{Broken, Dissection};
use crate::registry::SettingsError;
use crate::xml::{self, Element};

use super::settings::{Charset, Site};
use super::wire::{
    DecodeError, ErrorCode, ErrorsFile, FileName, Message, OrderType, PackedTime, ReadLine, Status, Tail,
    TransactionNumber,
};
use super::wire::{Head, Order};

/// Explains one file. Its name tells what it is; without one, its contents do.
///
/// # Errors
/// [`SettingsError`] if the settings can not be.
pub fn decode(settings: &Value, name: Option<&str>, bytes: &[u8]) -> Result<Vec<Dissection>, SettingsError> {
    let site = Site::read(settings)?;
    let name = name.map(|name| name.rsplit('/').next().unwrap_or(name));
    let file = name.and_then(FileName::parse);
    let is_xml = bytes.trim_ascii_start().starts_with(b"<") || bytes.starts_with(b"\xef\xbb\xbf");
    let dissection = if is_xml {
        status(bytes, site.settings.answer_limit)
    } else if let Some(file) = file {
        order(file.order_type, Some(file.number), site.settings.charset, bytes)
    } else if name == Some("errors.txt") || looks_like_errors(bytes) {
        errors(bytes)
    } else {
        order(guess(bytes), None, site.settings.charset, bytes)
    };
    Ok(vec![dissection])
}

/// The first line of an `errors.txt` is a file's name; that of an order is `U` or `01`.
fn looks_like_errors(bytes: &[u8]) -> bool {
    let first = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    str::from_utf8(first).is_ok_and(|line| FileName::parse(line.trim()).is_some())
}

/// The type of an order without a name: the one that reads it, or else the one that gets furthest.
fn guess(bytes: &[u8]) -> OrderType {
    let furthest = |order_type: &OrderType| {
        let (order, lines) = Order::decode_lines(*order_type, bytes);
        (order.is_ok(), lines.len())
    };
    // Of equals the last one counts; `cs` has the lines of `ps`, which is the more common.
    let types = [OrderType::CS, OrderType::SC, OrderType::VP, OrderType::GP, OrderType::PS];
    types.into_iter().max_by_key(furthest).unwrap_or(OrderType::PS)
}

fn order(order_type: OrderType, number: Option<TransactionNumber>, charset: Charset, bytes: &[u8]) -> Dissection {
    let (order, lines) = Order::decode_lines(order_type, bytes);
    let mut dissection = Dissection::new(format!("order file {}", order_type.as_str()));
    for line in &lines {
        let value = text(bytes, line);
        dissection.field(line.name, line.offset, line.length, value, meaning(order_type, line, value));
        if line.name == "payload" && value != "U" {
            payload(&mut dissection, line, value, charset);
        }
    }
    match order {
        Err(error) => dissection.broken = Some(broken(&error)),
        Ok(order) => {
            if let Some(number) = number.filter(|number| *number != order.number) {
                let offset = lines.get(1).map_or(0, |line| line.offset);
                let text = format!("line 2 must be {number}, as in the file's name (ERR_TRANSNUM)");
                dissection.broken = Some(Broken { offset, text, incomplete: false });
            } else if let Head::Authorise(_, period) | Head::Cancel(_, period) = order.head
                && period.end <= period.start
            {
                let offset = lines.get(4).map_or(0, |line| line.offset);
                let text = "the end must be after the start (ERR_DATES)".to_owned();
                dissection.broken = Some(Broken { offset, text, incomplete: false });
            }
        }
    }
    dissection
}

fn text<'a>(bytes: &'a [u8], line: &ReadLine) -> &'a str {
    let line = bytes.get(line.offset..line.offset.saturating_add(line.length)).unwrap_or_default();
    str::from_utf8(line).unwrap_or("<not text>").trim_end_matches('\r')
}

fn meaning(order_type: OrderType, line: &ReadLine, value: &str) -> &'static str {
    match (line.name, value) {
        ("CA mode", "01") => "un-pair",
        ("function", "00000002") => "message",
        ("function", "00001001") => "un-pair",
        ("product", "00000001") if order_type == OrderType::VP => "constant of a pairing order",
        ("start" | "end", time) if time != "U" => "YYYYMMDDhhmm in the provider's time_zone",
        ("EMM", _) => "constant in every file",
        ("count", _) => "numbers that follow",
        (_, "U") => "unspecified",
        _ => "",
    }
}

/// The fields of a message, at their hexadecimal digits.
fn payload(dissection: &mut Dissection, line: &ReadLine, digits: &str, charset: Charset) {
    let bytes = from_hex(digits).unwrap_or_default();
    for field in Message::fields(&bytes) {
        let offset = line.offset + field.offset * 2;
        let length = (field.value.len() + 2) * 2;
        let seconds = |value: &[u8]| value.iter().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
        let (value, meaning) = match (field.tag, field.value) {
            (0x01, text) => (charset.decode(text), "text"),
            (0x02, _) => (to_hex(field.value), "class, always ff"),
            (0x03, &[a, b, c, d]) => {
                let time = PackedTime::from_bytes([a, b, c, d]);
                (time.map_or_else(|| "no such time".to_owned(), |time| time.time().to_string()), "start, UTC")
            }
            (0x04, &[0, 0]) => ("0".to_owned(), "mail"),
            (0x04, &[_, _]) => (seconds(field.value).to_string(), "seconds on the screen"),
            (0x05, &[count]) => (count.to_string(), "times"),
            (0x06, &[tens]) => ((u32::from(tens) * 10).to_string(), "seconds apart"),
            (_, other) => (to_hex(other), "unknown"),
        };
        dissection.field(format!("tag {:02x}", field.tag), offset, length, value, meaning);
    }
}

fn errors(bytes: &[u8]) -> Dissection {
    let file = ErrorsFile::decode(bytes, Tail::MayGrow);
    let mut dissection = Dissection::new("errors.txt");
    let mut offset = 0;
    let mut entries = file.entries.iter().peekable();
    let mut named = None;
    for (index, raw) in bytes.split_inclusive(|b| *b == b'\n').enumerate() {
        let line = String::from_utf8_lossy(raw);
        let line = line.trim();
        let strange = file.strange.iter().any(|(number, _)| usize::try_from(*number).ok() == Some(index + 1));
        let half = file.incomplete.is_some_and(|at| offset >= at);
        if half || line.is_empty() {
        } else if strange {
            dissection.field("strange line", offset, line.len(), line, "belongs to no refusal");
        } else if let Some(entry) = named.take() {
            let entry: &super::wire::ErrorEntry = entry;
            dissection.field("error", offset, line.len(), line, describe(&entry.code, entry.line));
        } else {
            named = entries.next();
            dissection.field("file", offset, line.len(), line, "the order file that was refused");
        }
        offset += raw.len();
    }
    if let Some(offset) = file.incomplete {
        dissection.broken = Some(Broken { offset, text: "the last entry is half written".into(), incomplete: true });
    }
    dissection
}

fn describe(code: &ErrorCode, line: Option<u32>) -> String {
    line.map_or_else(|| code.meaning().to_owned(), |line| format!("{}, line {line} of the order file", code.meaning()))
}

fn status(bytes: &[u8], limit: usize) -> Dissection {
    let mut dissection = Dissection::new("status answer");
    if let Ok(root) = xml::parse(bytes, limit) {
        elements(&mut dissection, &root);
    }
    if let Err(error) = Status::decode(bytes, limit) {
        dissection.broken = Some(broken(&error));
    }
    dissection
}

fn elements(dissection: &mut Dissection, element: &Element) {
    let attributes: Vec<String> = element.attributes.iter().map(|a| format!("{}={}", a.name, a.value)).collect();
    let mut value = attributes.join(" ");
    let text = element.text.trim();
    if !text.is_empty() {
        value = format!("{value} {text}").trim_start().to_owned();
    }
    let meaning = match element.name.as_str() {
        "AuthorisationStatus" if element.children.is_empty() => "a card that is not authorised for anything",
        "AuthorisationStatus" => "a card",
        "Product" => "a product it holds",
        "AuthorisationStart" => "first day",
        "AuthorisationEnd" => "last day",
        _ => "",
    };
    dissection.field(element.name.clone(), element.offset, element.tag_length, value, meaning);
    for child in &element.children {
        elements(dissection, child);
    }
}

fn broken(error: &DecodeError) -> Broken {
    match error {
        DecodeError::Incomplete { offset } => {
            Broken { offset: *offset, text: "it ends too early".into(), incomplete: true }
        }
        DecodeError::Malformed { line, offset, what, code } => {
            let code = code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default();
            Broken { offset: *offset, text: format!("line {line}: {what}{code}"), incomplete: false }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ORDER: &str = "U\n000123\n00000041\n202611010000\n202712312359\nU\nEMM\nU\n000001\n01450000011\nZZZ\n";

    fn one(name: Option<&str>, text: &str) -> Dissection {
        let mut all = decode(&json!({}), name, text.as_bytes()).unwrap();
        assert_eq!(all.len(), 1);
        all.remove(0)
    }

    #[test]
    fn an_order_is_explained_line_by_line() {
        let found = one(Some("autreq/req/ps000123.emm"), ORDER);
        assert_eq!((found.title.as_str(), found.fields.len(), found.broken), ("order file ps", 11, None));
        let product = &found.fields[2];
        assert_eq!(
            (product.name.as_str(), product.offset, product.length, product.value.as_str()),
            ("product", 9, 8, "00000041")
        );
        let last = &found.fields[10];
        assert_eq!((last.name.as_str(), last.value.as_str(), last.meaning.as_str()), ("end of order", "ZZZ", ""));
    }

    #[test]
    fn line_two_must_match_the_name() {
        let broken = one(Some("ps000124.emm"), ORDER).broken.unwrap();
        assert_eq!((broken.offset, broken.incomplete), (2, false));
        assert!(broken.text.contains("000124") && broken.text.contains("ERR_TRANSNUM"));
    }

    #[test]
    fn an_order_without_a_name_is_recognised() {
        assert_eq!(one(None, ORDER).title, "order file ps");
        let pair = "U\n000001\n00000001\nU\nU\nU\nEMM\nU\n00002\nS01450000011\nV12\nZZZ\n";
        assert_eq!(one(None, pair).title, "order file vp");
        let unpair = "01\n000001\n00001001\nU\nU\nU\nU\nU\nEMM\n000001\n12\nZZZ\n";
        assert_eq!(one(None, unpair).title, "order file gp");
    }

    #[test]
    fn a_broken_order_says_where() {
        let broken = one(Some("ps000123.emm"), &ORDER.replace("000001\n01", "000002\n01")).broken.unwrap();
        assert_eq!(broken.offset, 52);
        assert_eq!(broken.text, "line 9: the count is 2, and 1 numbers are listed (ERR_NUMOFCARDS)");
        let broken = one(Some("ps000123.emm"), &ORDER[..60]).broken.unwrap();
        assert!(broken.incomplete);
        let broken = one(Some("ps000123.emm"), &ORDER.replace("2027", "2025")).broken.unwrap();
        assert_eq!((broken.offset, broken.text.contains("ERR_DATES")), (31, true));
    }

    #[test]
    fn a_payload_is_explained_field_by_field() {
        let text = "U\n000001\n00000002\n010548454c4c4f0201ff0402001403047f671205050103060106\nU\nU\nU\nU\nEMM\n00001\n01450000011\nZZZ\n";
        let found = one(Some("gp000001.emm"), text);
        let tags: Vec<_> =
            found.fields.iter().filter(|f| f.name.starts_with("tag")).map(|f| (f.offset, f.value.as_str())).collect();
        assert_eq!(tags, [(18, "HELLO"), (32, "ff"), (38, "20"), (46, "2026-07-31T18:05:00"), (58, "3"), (64, "60")]);
        assert_eq!(found.broken, None);
    }

    #[test]
    fn errors_and_status_answers_are_explained() {
        let found = one(None, "ps000001.emm\r\nERR_CARDNUM,10\r\nhello\r\nps000002.emm\r\nERR_DA");
        let names: Vec<_> = found.fields.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["file", "error", "strange line"]);
        assert_eq!(found.fields[1].meaning, "card not registered to this SMS, line 10 of the order file");
        assert_eq!(found.broken.map(|b| (b.offset, b.incomplete)), Some((37, true)));
        let found =
            one(None, r#"<AuthorisationStatuses><AuthorisationStatus cardNo="01450000011"/></AuthorisationStatuses>"#);
        assert_eq!(found.fields[1].value, "cardNo=01450000011");
        assert_eq!(found.broken, None);
        assert!(one(None, "<AuthorisationStatuses>").broken.unwrap().incomplete);
    }
}
