//! The PINs in what was said, found by their place: the platform writes them as numbers without leading zeros, which
//! could stand anywhere.

use super::task::Words;
use super::wire::value::Value;

/// The parameter, the member and the element that hold a PIN.
const PIN: &str = "pin";

/// The PIN of a call, as either binding writes it.
#[must_use]
pub(super) fn in_call(words: &Words) -> Vec<String> {
    let parameters = match words {
        Words::Operation(operation) => operation.parameters(),
        Words::Raw(raw) => raw.parameters.clone(),
    };
    let pins = parameters.into_iter().filter(|(name, _)| name == PIN).filter_map(|(_, value)| match value {
        Value::Number(number) => Some(number.to_string()),
        Value::Text(text) => Some(text),
        _ => None,
    });
    pins.flat_map(|pin| [format!("{PIN}={pin}"), format!(">{pin}</{PIN}>")]).collect()
}

/// The PINs of an answer of either binding, each with what stands around it.
#[must_use]
pub(super) fn in_answer(body: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(body);
    let mut found = Vec::new();
    for (at, _) in text.match_indices("\"pin\"") {
        found.extend(piece(&text, at, &[',', '}', '\n']));
    }
    for (at, _) in text.match_indices("pin") {
        let opens = text.get(..at).is_some_and(|before| before.ends_with(['<', ':']));
        let Some(element) = piece(&text, at, &['/']).filter(|_| opens) else { continue };
        // The value may stand elsewhere, by reference.
        let id = element.split_once("href=").and_then(|(_, rest)| rest.get(2..)?.split(['"', '\'']).next());
        if let Some(id) = id {
            let quoted = ["\"", "'"].map(|quote| format!("id={quote}{id}{quote}"));
            let targets = quoted.iter().flat_map(|id| text.match_indices(id.as_str()));
            found.extend(targets.filter_map(|(at, _)| piece(&text, at, &['/'])));
        } else {
            found.push(element);
        }
    }
    found
}

/// From there to before the first of these; to the end where none comes.
fn piece(text: &str, from: usize, ends: &[char]) -> Option<String> {
    text.get(from..)?.split(ends).next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_found_wherever_an_answer_puts_them() {
        assert_eq!(
            in_answer(br#"{"answer":{"sn":"1","pin":32,"x":[{"pin" : "7"}]}}"#),
            ["\"pin\":32", "\"pin\" : \"7\""]
        );
        let inline = b"<a><pin t:type=\"x:int\">32</pin><b>5</b><shipping>1</shipping></a>";
        assert_eq!(in_answer(inline), ["pin t:type=\"x:int\">32<"]);
        let referred = b"<a><q:pin href=\"#i3\"/></a><m id=\"i3\" t:type=\"x:int\">32</m><m id=\"i33\">5</m>";
        assert_eq!(in_answer(referred), ["id=\"i3\" t:type=\"x:int\">32<"]);
        assert!(in_answer(b"\xff<pin").len() < 2 && in_answer(b"pin href=").is_empty());
    }
}
