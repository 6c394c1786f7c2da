//! Card numbers, as every Conax interface wants them.

/// Digits of a card as sent.
pub const DIGITS: usize = 11;

/// What a card's number must look like, for people.
pub const FORM: &str = "a card number must have 12 digits as printed, or 11 without the check digit";

/// The 11 digits that are sent of a serial number: of 12 as printed the last is a check digit and dropped, 11 are sent
/// as they are \[conax-sms S:AB,AX; conax-web S:SC,W4\]. How the check digit is computed is not public, so it is not
/// verified. Nothing for any other form.
#[must_use]
pub fn as_sent(serial: &str) -> Option<&str> {
    let fits = (DIGITS..=DIGITS + 1).contains(&serial.len()) && serial.bytes().all(|b| b.is_ascii_digit());
    if fits { serial.get(..DIGITS) } else { None }
}

#[cfg(test)]
mod tests {
    use super::as_sent;

    #[test]
    fn the_check_digit_is_dropped() {
        assert_eq!(as_sent("014500000119"), Some("01450000011"));
        assert_eq!(as_sent("01450000011"), Some("01450000011"));
        for other in ["", "0145000001", "0145000001199", "0145000001x", "01450000011é"] {
            assert_eq!(as_sent(other), None, "{other}");
        }
    }
}
