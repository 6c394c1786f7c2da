//! What an order does to what the platform holds.

use headgate_core::platform::{Card, Holding};
use jiff::tz::TimeZone;

use super::super::wire::{
    CardStatus, DecodeError, DeviceNumber, ErrorCode, ErrorEntry, FileName, Head, Message, Order, Period, ProductId,
    ProductStatus, Status,
};
use super::ConaxPlatform;

/// What an order comes to.
pub(super) enum Verdict {
    /// Taken.
    Accepted,
    /// Taken; this is what was asked.
    Told(Status),
    /// Refused, with the line at fault.
    Refused(ErrorEntry),
}

impl ConaxPlatform {
    /// Checks a file, and does what it says if all of it is right.
    pub(super) fn apply(&mut self, name: FileName, contents: &[u8], distrust: bool) -> Verdict {
        let refused = |code, line| Verdict::Refused(ErrorEntry { file: name, code, line: Some(line) });
        let order = match Order::decode(name.order_type, contents) {
            Ok(order) => order,
            Err(DecodeError::Malformed { line, code, .. }) => {
                self.holdings.applied += 1;
                return refused(code.unwrap_or(ErrorCode::CaMode), line);
            }
            Err(DecodeError::Incomplete { .. }) => {
                self.holdings.applied += 1;
                let lines = contents.iter().filter(|b| **b == b'\n').count();
                return refused(ErrorCode::EndReq, u32::try_from(lines + 1).unwrap_or(u32::MAX));
            }
        };
        if let Some((code, line)) = self.fault_of(name, &order, distrust) {
            self.holdings.applied += 1;
            return refused(code, line);
        }
        if order.head == Head::Status {
            return Verdict::Told(self.status(&order.numbers));
        }
        self.holdings.applied += 1;
        match &order.head {
            Head::Authorise(product, period) => self.authorise(*product, *period, &order.numbers),
            Head::Cancel(product, _) => {
                for card in &order.numbers {
                    self.card(card).services.remove(&product.value().to_string());
                }
            }
            Head::Pair => self.pair(&order.numbers),
            Head::Unpair => self.unpair(&order.numbers),
            Head::Message(message) => self.show(message, &order.numbers),
            Head::Status => {}
        }
        Verdict::Accepted
    }

    /// The first thing that is wrong with a well-formed order, in the order of its lines.
    fn fault_of(&self, name: FileName, order: &Order, distrust: bool) -> Option<(ErrorCode, u32)> {
        if order.number != name.number {
            return Some((ErrorCode::TransNum, 2));
        }
        if let Head::Authorise(product, period) | Head::Cancel(product, period) = &order.head {
            if !self.known_products.is_empty() && !self.known_products.contains(product) {
                return Some((ErrorCode::Product, 3));
            }
            if period.end <= period.start {
                return Some((ErrorCode::Dates, 5));
            }
        }
        let first = order.head.first_number_line();
        if distrust {
            return Some((ErrorCode::CardNum, first));
        }
        let cards: &[DeviceNumber] = match &order.head {
            Head::Unpair => &[],
            Head::Pair => order.numbers.get(..1).unwrap_or_default(),
            Head::Authorise(..) | Head::Cancel(..) | Head::Status | Head::Message(_) => &order.numbers,
        };
        let unknown = |card: &DeviceNumber| !self.known_cards.is_empty() && !self.known_cards.contains(card);
        let at = cards.iter().position(unknown)?;
        Some((ErrorCode::CardNum, first.saturating_add(u32::try_from(at).unwrap_or(u32::MAX))))
    }

    fn authorise(&mut self, product: ProductId, period: Period, cards: &[DeviceNumber]) {
        let zone = self.site.zone.clone();
        let holding = Holding { start: period.start.instant(&zone), end: period.end.instant(&zone), suspended: false };
        for card in cards {
            self.card(card).services.insert(product.value().to_string(), holding.clone());
        }
    }

    fn pair(&mut self, numbers: &[DeviceNumber]) {
        let [card, stb] = numbers else { return };
        self.unpair(std::slice::from_ref(stb));
        let card_number = card.as_str().to_owned();
        let before = std::mem::take(&mut self.card(card).stbs);
        for stb in before {
            self.paired.remove(&stb);
        }
        self.paired.insert(stb.as_str().to_owned(), card_number);
        self.card(card).stbs.insert(stb.as_str().to_owned());
    }

    fn unpair(&mut self, stbs: &[DeviceNumber]) {
        for stb in stbs {
            if let Some(card) = self.paired.remove(stb.as_str())
                && let Some(card) = self.holdings.cards.get_mut(&card)
            {
                card.stbs.remove(stb.as_str());
            }
        }
    }

    fn show(&mut self, message: &Message, cards: &[DeviceNumber]) {
        let text = self.site.settings.charset.decode(&message.text);
        for card in cards {
            self.card(card).messages.push(text.clone());
        }
    }

    fn status(&self, cards: &[DeviceNumber]) -> Status {
        let zone: &TimeZone = &self.site.zone;
        let product = |(id, holding): (&String, &Holding)| {
            let end = holding.end.map(|end| zone.to_datetime(end).date());
            Some(ProductStatus { product: ProductId::parse(id)?, start: None, end })
        };
        let card = |number: &DeviceNumber| {
            let held = self.holdings.cards.get(number.as_str());
            let products = held.into_iter().flat_map(|card| &card.services).filter_map(product).collect();
            CardStatus { card: *number, products }
        };
        Status { cards: cards.iter().map(card).collect() }
    }

    fn card(&mut self, number: &DeviceNumber) -> &mut Card {
        self.holdings.cards.entry(number.as_str().to_owned()).or_default()
    }
}
