//! Bytes for people: hexadecimal digits with the characters beside them.

use std::fmt::Write;

/// Bytes of one row of a dump.
const ROW: usize = 16;

/// The whole of `bytes`, 16 to a row, with offsets. Ends with a line break unless it is empty.
pub(super) fn dump(bytes: &[u8]) -> String {
    let mut out = String::new();
    for (row, bytes) in bytes.chunks(ROW).enumerate() {
        // Writing to a String can not fail.
        let _ = writeln!(out, "{:08x}  {:<47}  |{}|", row * ROW, digits(bytes), characters(bytes));
    }
    out
}

/// A few bytes on one line; the rest is counted.
pub(super) fn brief(bytes: &[u8]) -> String {
    let (shown, rest) = bytes.split_at(bytes.len().min(ROW));
    let more = if rest.is_empty() { String::new() } else { format!(" +{}", rest.len()) };
    format!("{} |{}|{more}", digits(shown), characters(shown))
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

fn characters(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_shows_offsets_digits_and_characters() {
        insta::assert_snapshot!(dump(b"0123456789abcdef\x00\xffz"), @r"
        00000000  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  |0123456789abcdef|
        00000010  00 ff 7a                                         |..z|
        ");
    }

    #[test]
    fn a_long_field_is_cut_and_counted() {
        assert_eq!(brief(b"ab"), "61 62 |ab|");
        assert!(brief(&[0x41; 20]).ends_with("|AAAAAAAAAAAAAAAA| +4"));
    }
}
