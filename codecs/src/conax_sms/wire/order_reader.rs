//! Order files read back, line by line.

use nom::IResult;
use nom::Parser;
use nom::bytes::complete::{tag, take_while_m_n};
use nom::combinator::{all_consuming, map_opt};

use headgate_core::text::from_hex;

use super::lines::{Line, Lines};
use super::order::{MESSAGE_FUNCTION, PAIR_PRODUCT, UNPAIR_FUNCTION, UNPAIR_MODE};
use super::{
    DecodeError, DeviceNumber, ErrorCode, Head, Message, Order, OrderTime, OrderType, Period, ProductId, TlvError,
    TransactionNumber,
};

/// Most bytes of one line: more than the longest payload needs.
pub const LINE_LIMIT: usize = 512;

/// A line that was read, for explaining a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLine {
    /// What it is.
    pub name: &'static str,
    /// Where it begins, in bytes from zero.
    pub offset: usize,
    /// How many bytes it has, without its end.
    pub length: usize,
}

impl Order {
    /// Reads a whole file of that type. Either line end, either count width and either case of hexadecimal digits is
    /// taken; the last line may lack its end.
    ///
    /// # Errors
    /// [`DecodeError`] with the place, and the code the platform would answer.
    pub fn decode(order_type: OrderType, bytes: &[u8]) -> Result<Self, DecodeError> {
        Reader::new(bytes).order(order_type)
    }

    /// The same, and the lines that were read: all of them, or those before the one that does not fit.
    pub fn decode_lines(order_type: OrderType, bytes: &[u8]) -> (Result<Self, DecodeError>, Vec<ReadLine>) {
        let mut reader = Reader::new(bytes);
        let order = reader.order(order_type);
        (order, reader.read)
    }
}

struct Reader<'a> {
    lines: Lines<'a>,
    read: Vec<ReadLine>,
}

type Bytes<'a> = &'a [u8];

impl<'a> Reader<'a> {
    const fn new(bytes: &'a [u8]) -> Self {
        Self { lines: Lines::new(bytes), read: Vec::new() }
    }

    fn order(&mut self, order_type: OrderType) -> Result<Order, DecodeError> {
        match order_type {
            OrderType::PS => self.period_order(Head::Authorise),
            OrderType::CS => self.period_order(Head::Cancel),
            OrderType::SC => self.status(),
            OrderType::VP => self.pair(),
            OrderType::GP => self.general(),
            _ => Err(DecodeError::Malformed {
                line: 1,
                offset: 0,
                what: "a file of type ps, cs, sc, vp or gp was expected".into(),
                code: Some(ErrorCode::CaMode),
            }),
        }
    }

    fn period_order(&mut self, head: fn(ProductId, Period) -> Head) -> Result<Order, DecodeError> {
        self.literal("CA mode", "U", ErrorCode::CaMode)?;
        let number = self.transaction_number()?;
        let product = self.value("product", "8 digits", ErrorCode::Product, |text| {
            str::from_utf8(text).ok().filter(|text| text.len() == 8).and_then(ProductId::parse)
        })?;
        let start = self.value("start", "a time YYYYMMDDhhmm", ErrorCode::Dates, OrderTime::parse)?;
        let end = self.value("end", "a time YYYYMMDDhhmm", ErrorCode::Dates, OrderTime::parse)?;
        self.end_of_layout_a()?;
        let numbers = self.counted("card", "a card number of 11 digits", DeviceNumber::card)?;
        Ok(Order { number, head: head(product, Period { start, end }), numbers })
    }

    fn status(&mut self) -> Result<Order, DecodeError> {
        self.literal("CA mode", "U", ErrorCode::CaMode)?;
        let number = self.transaction_number()?;
        self.literal("product", "U", ErrorCode::Product)?;
        self.no_period()?;
        self.end_of_layout_a()?;
        let numbers = self.counted("card", "a card number of 11 digits", DeviceNumber::card)?;
        Ok(Order { number, head: Head::Status, numbers })
    }

    fn pair(&mut self) -> Result<Order, DecodeError> {
        self.literal("CA mode", "U", ErrorCode::CaMode)?;
        let number = self.transaction_number()?;
        self.literal("product", PAIR_PRODUCT, ErrorCode::Product)?;
        self.no_period()?;
        self.end_of_layout_a()?;
        self.value("count", "00002 or 000002", ErrorCode::NumOfCards, |text| count(text).filter(|count| *count == 2))?;
        let card = self.value("card", "S and a card number of 11 digits", ErrorCode::CardNum, |text| {
            text.strip_prefix(b"S").and_then(DeviceNumber::card)
        })?;
        let stb = self.value("set-top box", "V and a number of 1 to 20 digits", ErrorCode::CardNum, |text| {
            text.strip_prefix(b"V").and_then(DeviceNumber::stb)
        })?;
        self.end()?;
        Ok(Order { number, head: Head::Pair, numbers: vec![card, stb] })
    }

    fn general(&mut self) -> Result<Order, DecodeError> {
        let unpairs = self.value("CA mode", "U or 01", ErrorCode::CaMode, |text| match text {
            b"U" => Some(false),
            mode if mode == UNPAIR_MODE.as_bytes() => Some(true),
            _ => None,
        })?;
        let number = self.transaction_number()?;
        if unpairs {
            self.literal("function", UNPAIR_FUNCTION, ErrorCode::CaMode)?;
            self.literal("payload", "U", ErrorCode::CaMode)?;
            self.end_of_layout_b()?;
            let numbers = self.counted("set-top box", "a set-top box number of 1 to 20 digits", DeviceNumber::stb)?;
            return Ok(Order { number, head: Head::Unpair, numbers });
        }
        self.literal("function", MESSAGE_FUNCTION, ErrorCode::CaMode)?;
        let message = self.message()?;
        self.end_of_layout_b()?;
        let numbers = self.counted("card", "a card number of 11 digits", DeviceNumber::card)?;
        Ok(Order { number, head: Head::Message(message), numbers })
    }

    fn message(&mut self) -> Result<Message, DecodeError> {
        let line = self.lines.whole(LINE_LIMIT)?;
        let digits = str::from_utf8(line.text).ok().filter(|text| !text.contains(char::is_whitespace));
        let payload = digits
            .and_then(|text| from_hex(text).ok())
            .ok_or_else(|| line.malformed("a payload in hexadecimal digits was expected", None))?;
        let message = Message::decode(&payload).map_err(|error| match error {
            // The line is whole, so no further byte of the file completes the payload.
            TlvError::Incomplete { offset } => DecodeError::Malformed {
                line: line.number,
                offset: line.offset + offset * 2,
                what: "the payload ends too early".into(),
                code: None,
            },
            TlvError::Malformed { offset, what } => DecodeError::Malformed {
                line: line.number,
                offset: line.offset + offset * 2,
                what: format!("payload: {what}"),
                code: None,
            },
        })?;
        self.note("payload", &line);
        Ok(message)
    }

    fn transaction_number(&mut self) -> Result<TransactionNumber, DecodeError> {
        self.value("transaction number", "6 digits, not all zero", ErrorCode::TransNum, TransactionNumber::parse)
    }

    fn no_period(&mut self) -> Result<(), DecodeError> {
        self.literal("start", "U", ErrorCode::Dates)?;
        self.literal("end", "U", ErrorCode::Dates)
    }

    fn end_of_layout_a(&mut self) -> Result<(), DecodeError> {
        self.literal("priority", "U", ErrorCode::Priority)?;
        self.literal("EMM", "EMM", ErrorCode::CaMode)?;
        self.literal("line 8", "U", ErrorCode::Priority)
    }

    fn end_of_layout_b(&mut self) -> Result<(), DecodeError> {
        for name in ["line 5", "line 6", "line 7", "line 8"] {
            self.literal(name, "U", ErrorCode::Priority)?;
        }
        self.literal("EMM", "EMM", ErrorCode::CaMode)
    }

    /// The count, the numbers it counts, and the last line. A count that is wrong is told at the count's line, as
    /// the platform does.
    fn counted(
        &mut self,
        name: &'static str,
        what: &str,
        read: fn(&[u8]) -> Option<DeviceNumber>,
    ) -> Result<Vec<DeviceNumber>, DecodeError> {
        let count_line = self.lines.whole(LINE_LIMIT)?;
        let wrong = |what: String| count_line.malformed(what, Some(ErrorCode::NumOfCards));
        let count = count(count_line.text).ok_or_else(|| wrong("a count of 5 or 6 digits was expected".into()))?;
        self.note("count", &count_line);
        let mut numbers = Vec::new();
        loop {
            let before = self.lines.clone();
            let line = self.next()?;
            if is_end(&line) {
                if numbers.len() != count {
                    return Err(wrong(format!("the count is {count}, and {} numbers are listed", numbers.len())));
                }
                self.lines = before;
                self.end()?;
                return Ok(numbers);
            }
            if !line.ended {
                return Err(DecodeError::Incomplete { offset: self.lines.rest().1 });
            }
            let Some(number) = read(line.text) else {
                return Err(if numbers.len() == count {
                    line.malformed("ZZZ was expected", Some(ErrorCode::EndReq))
                } else {
                    line.malformed(format!("{what} was expected"), Some(ErrorCode::CardNum))
                });
            };
            numbers.push(number);
            self.note(name, &line);
        }
    }

    /// The last line, after which nothing may come.
    fn end(&mut self) -> Result<(), DecodeError> {
        let line = self.next()?;
        if !is_end(&line) {
            return Err(match line.ended {
                false => DecodeError::Incomplete { offset: self.lines.rest().1 },
                true => line.malformed("ZZZ was expected", Some(ErrorCode::EndReq)),
            });
        }
        self.note("end of order", &line);
        match self.lines.next() {
            None => Ok(()),
            Some(line) => Err(line.malformed("nothing was expected after ZZZ", Some(ErrorCode::EndReq))),
        }
    }

    /// The next line, also one that lacks its end.
    fn next(&mut self) -> Result<Line<'a>, DecodeError> {
        let line = self.lines.next().ok_or_else(|| DecodeError::Incomplete { offset: self.lines.rest().1 })?;
        if line.text.len() > LINE_LIMIT {
            return Err(line.malformed(format!("a line of at most {LINE_LIMIT} bytes was expected"), None));
        }
        Ok(line)
    }

    fn literal(&mut self, name: &'static str, wanted: &str, code: ErrorCode) -> Result<(), DecodeError> {
        self.value(name, wanted, code, |text| {
            let exact: IResult<Bytes<'_>, _> = all_consuming(tag(wanted.as_bytes())).parse_complete(text);
            exact.ok().map(|_| ())
        })
    }

    fn value<T>(
        &mut self,
        name: &'static str,
        what: &str,
        code: ErrorCode,
        read: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<T, DecodeError> {
        let line = self.lines.whole(LINE_LIMIT)?;
        match read(line.text) {
            Some(value) => {
                self.note(name, &line);
                Ok(value)
            }
            None => Err(line.malformed(format!("{name}: {what} was expected"), Some(code))),
        }
    }

    fn note(&mut self, name: &'static str, line: &Line<'_>) {
        self.read.push(ReadLine { name, offset: line.offset, length: line.text.len() });
    }
}

/// Whether it is the last line; it may lack its end, or half of it.
fn is_end(line: &Line<'_>) -> bool {
    line.text == b"ZZZ" || (!line.ended && line.text == b"ZZZ\r")
}

/// Five or six digits.
fn count(text: &[u8]) -> Option<usize> {
    let digits = take_while_m_n(5, 6, |b: u8| b.is_ascii_digit());
    let number = map_opt(digits, |digits: &[u8]| str::from_utf8(digits).ok()?.parse().ok());
    let parsed: IResult<Bytes<'_>, usize> = all_consuming(number).parse_complete(text);
    parsed.ok().map(|(_, count)| count)
}
