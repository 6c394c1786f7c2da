//! The answer to a status order: XML \[S:SGA,AX\].
//!
//! Whether year, month and day are attributes or child elements is unknown, and whether a product's id
//! is padded: both are read.

use jiff::civil::Date;
use quick_xml::Writer;
use quick_xml::events::{BytesEnd, BytesStart, Event};

use crate::xml::{self, Element};

use super::{DecodeError, DeviceNumber, ProductId};

/// What the platform holds for cards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Each card, in the order of the answer.
    pub cards: Vec<CardStatus>,
}

/// What one card holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardStatus {
    /// The card.
    pub card: DeviceNumber,
    /// Its products; none: not authorised for anything \[I\].
    pub products: Vec<ProductStatus>,
}

/// One product on a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProductStatus {
    /// Which product.
    pub product: ProductId,
    /// The first day, where told.
    pub start: Option<Date>,
    /// The last day, where told.
    pub end: Option<Date>,
}

const ROOT: &str = "AuthorisationStatuses";
const CARD: &str = "AuthorisationStatus";
const PRODUCT: &str = "Product";
const START: &str = "AuthorisationStart";
const END: &str = "AuthorisationEnd";

impl Status {
    /// Reads a whole answer of at most `limit` bytes. Elements it does not know are passed over.
    ///
    /// # Errors
    /// [`DecodeError`] with the place; incomplete where the document is only half written.
    pub fn decode(bytes: &[u8], limit: usize) -> Result<Self, DecodeError> {
        let root = xml::parse(bytes, limit).map_err(|error| match error.incomplete {
            true => DecodeError::Incomplete { offset: error.offset },
            false => malformed(bytes, error.offset, error.text),
        })?;
        Self::from_element(&root).map_err(|(offset, what)| malformed(bytes, offset, what))
    }

    /// Writes it the way of the fact sheet's example: dates as attributes, ids without padding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
        // Writing to a Vec can not fail.
        let _ = self.write(&mut writer);
        writer.into_inner()
    }

    fn from_element(root: &Element) -> Result<Self, (usize, String)> {
        if root.name != ROOT {
            return Err((root.offset, format!("the element {ROOT} was expected")));
        }
        let cards = root.children.iter().filter(|child| child.name == CARD).map(card).collect::<Result<_, _>>()?;
        Ok(Self { cards })
    }

    fn write(&self, writer: &mut Writer<Vec<u8>>) -> std::io::Result<()> {
        writer.write_event(Event::Start(BytesStart::new(ROOT)))?;
        for card in &self.cards {
            let start = BytesStart::new(CARD).with_attributes([("cardNo", card.card.as_str())]);
            writer.write_event(Event::Start(start))?;
            for product in &card.products {
                let id = product.product.value().to_string();
                writer.write_event(Event::Start(BytesStart::new(PRODUCT).with_attributes([("id", id.as_str())])))?;
                for (name, date) in [(START, product.start), (END, product.end)] {
                    let Some(date) = date else { continue };
                    let [year, month, day] =
                        [date.year().to_string(), date.month().to_string(), date.day().to_string()];
                    let parts = [("year", year.as_str()), ("month", month.as_str()), ("day", day.as_str())];
                    writer.write_event(Event::Empty(BytesStart::new(name).with_attributes(parts)))?;
                }
                writer.write_event(Event::End(BytesEnd::new(PRODUCT)))?;
            }
            writer.write_event(Event::End(BytesEnd::new(CARD)))?;
        }
        writer.write_event(Event::End(BytesEnd::new(ROOT)))
    }
}

/// The error at `offset`, with the line it is in.
fn malformed(bytes: &[u8], offset: usize, what: String) -> DecodeError {
    let before = bytes.iter().take(offset).filter(|b| **b == b'\n').count();
    DecodeError::Malformed { line: u32::try_from(before + 1).unwrap_or(u32::MAX), offset, what, code: None }
}

fn card(element: &Element) -> Result<CardStatus, (usize, String)> {
    let wrong = || (element.offset, "cardNo: a card number of 11 digits was expected".to_owned());
    let card = element.attribute("cardNo").ok_or_else(wrong)?;
    let card = DeviceNumber::card(card.trim().as_bytes()).ok_or_else(wrong)?;
    let products =
        element.children.iter().filter(|child| child.name == PRODUCT).map(product).collect::<Result<_, _>>()?;
    Ok(CardStatus { card, products })
}

fn product(element: &Element) -> Result<ProductStatus, (usize, String)> {
    let id = element.attribute("id").map(str::trim).and_then(ProductId::parse);
    let product = id.ok_or_else(|| (element.offset, "id: a product of 1 to 8 digits was expected".to_owned()))?;
    let date = |name| element.child(name).map(date).transpose();
    Ok(ProductStatus { product, start: date(START)?, end: date(END)? })
}

fn date(element: &Element) -> Result<Date, (usize, String)> {
    let part = |name: &str| {
        let text = element.attribute(name).or_else(|| element.child(name).map(|child| child.text.as_str()));
        text.and_then(|text| text.trim().parse::<i16>().ok())
    };
    let date = || {
        let small = |name| part(name).and_then(|value| i8::try_from(value).ok());
        Date::new(part("year")?, small("month")?, small("day")?).ok()
    };
    date().ok_or_else(|| (element.offset, format!("{}: a date in year, month and day was expected", element.name)))
}
