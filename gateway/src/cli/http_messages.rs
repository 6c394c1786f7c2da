//! The HTTP/1 messages of one direction of a TCP conversation, for `headgate decode`.

/// Most header fields of a message.
const FIELDS: usize = 256;

/// Splits `payload` into its messages, each with its head as it came and its body without the marks of chunks. What
/// is no message, or not whole, is the last piece as it came.
pub(super) fn split(payload: &[u8]) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    let mut rest = payload;
    while !rest.is_empty() {
        match first(rest) {
            Some((message, length)) => {
                messages.push(message);
                rest = rest.get(length..).unwrap_or_default();
            }
            None => {
                messages.push(rest.to_vec());
                break;
            }
        }
    }
    messages
}

/// The message at the beginning, and how long it is there; nothing, if there is none or it is not whole.
fn first(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let Head { length, status, fields } = head(bytes)?;
    let (head, rest) = bytes.split_at_checked(length)?;
    let field =
        |name: &str| fields.iter().rev().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    if field("transfer-encoding").is_some_and(|coding| coding.to_ascii_lowercase().ends_with("chunked")) {
        let (body, taken) = unchunked(rest)?;
        return Some(([head, &body].concat(), length + taken));
    }
    let body = match (field("content-length"), status) {
        (_, Some(100..=199 | 204 | 304)) => 0,
        (Some(declared), _) => declared.parse().ok()?,
        // A request without a length has no body; an answer goes to the end.
        (None, None) => 0,
        (None, Some(_)) => rest.len(),
    };
    let whole = length.checked_add(body)?;
    Some((bytes.get(..whole)?.to_vec(), whole))
}

struct Head {
    length: usize,
    /// Of an answer.
    status: Option<u16>,
    fields: Vec<(String, String)>,
}

fn head(bytes: &[u8]) -> Option<Head> {
    let mut space = [httparse::EMPTY_HEADER; FIELDS];
    let (length, status, fields) = if bytes.starts_with(b"HTTP/") {
        let mut answer = httparse::Response::new(&mut space);
        let length = answer.parse(bytes).ok().filter(httparse::Status::is_complete)?.unwrap();
        (length, answer.code, answer.headers)
    } else {
        let mut request = httparse::Request::new(&mut space);
        let length = request.parse(bytes).ok().filter(httparse::Status::is_complete)?.unwrap();
        (length, None, request.headers)
    };
    let fields = fields
        .iter()
        .map(|field| (field.name.to_owned(), String::from_utf8_lossy(field.value).trim().to_owned()))
        .collect();
    Some(Head { length, status, fields })
}

/// A chunked body in one piece, and how long it is in chunks.
fn unchunked(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let httparse::Status::Complete((line, size)) = httparse::parse_chunk_size(bytes.get(at..)?).ok()? else {
            return None;
        };
        let start = at.checked_add(line)?;
        let end = start.checked_add(usize::try_from(size).ok()?)?;
        if size == 0 {
            return trailers(bytes.get(start..)?).map(|length| (body, start + length));
        }
        body.extend_from_slice(bytes.get(start..end)?);
        at = end.checked_add(2).filter(|&next| bytes.get(end..next) == Some(b"\r\n"))?;
    }
}

/// How long the trailers are, with the empty line after them.
fn trailers(bytes: &[u8]) -> Option<usize> {
    if bytes.starts_with(b"\r\n") {
        return Some(2);
    }
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split_text(payload: &str) -> Vec<String> {
        split(payload.as_bytes()).into_iter().map(|message| String::from_utf8(message).unwrap()).collect()
    }

    #[test]
    fn messages_of_one_connection_are_told_apart() {
        let requests =
            "GET /a HTTP/1.1\r\nhost: x\r\n\r\nPOST /b HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /c HTTP/1.1\r\n\r\n";
        assert_eq!(
            split_text(requests),
            [
                "GET /a HTTP/1.1\r\nhost: x\r\n\r\n",
                "POST /b HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
                "GET /c HTTP/1.1\r\n\r\n"
            ]
        );
        let answers = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\nHTTP/1.1 200 OK\r\n\
            Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nt: 1\r\n\r\nHTTP/1.0 200 OK\r\n\r\nto the end";
        assert_eq!(
            split_text(answers),
            [
                "HTTP/1.1 100 Continue\r\n\r\n",
                "HTTP/1.1 204 No\r\n\r\n",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nabcde",
                "HTTP/1.0 200 OK\r\n\r\nto the end"
            ]
        );
    }

    #[test]
    fn what_is_no_whole_message_stays_as_it_came() {
        for payload in [
            "",
            "<xml/>",
            "GET /a HTTP/1.1\r\nhost",
            "POST /b HTTP/1.1\r\ncontent-length: 4\r\n\r\nabc",
            "POST /b HTTP/1.1\r\ncontent-length: -1\r\n\r\nabc",
            "POST /b HTTP/1.1\r\ncontent-length: 18446744073709551615\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nab",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\nab",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nt: 1",
        ] {
            assert_eq!(split_text(payload).concat(), payload);
        }
    }
}
