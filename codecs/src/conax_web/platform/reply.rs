//! Answers, as the platform writes them.

use std::collections::{BTreeMap, BTreeSet};

use headgate_core::http::HttpAnswer;
use headgate_core::platform::Holding;
use jiff::Timestamp;
use uuid::Uuid;

use crate::http::soap::{self, CONTENT_TYPE};
use crate::xml::write::{Unwritable, XmlWriter};

/// A namespace that was seen in answers, as the default one \[S:SC\].
const COMMON: &str = "http://www.conax.com/cas/xsd/common-types/v1";

/// What the platform says.
pub(super) enum Reply {
    Done,
    Pairings(BTreeMap<String, BTreeSet<String>>),
    Refused { code: &'static str, text: String },
    Services(BTreeMap<String, Holding>),
}

impl Reply {
    pub(super) fn refused(code: &'static str, text: &str) -> Self {
        Self::Refused { code, text: text.to_owned() }
    }

    /// The answer to an operation in that namespace; `number` makes the UUID of the request.
    pub(super) fn write(
        &self,
        operation: &str,
        namespace: Option<&str>,
        number: u64,
    ) -> Result<HttpAnswer, Unwritable> {
        let document = soap::write(&[("ns2", namespace.unwrap_or(COMMON))], |writer| {
            writer.element(&format!("ns2:{operation}Response"), &[("xmlns", COMMON)], |writer| {
                self.content(writer, number);
            });
        })?;
        // Business errors come with HTTP 200 \[S:SC, I\].
        Ok(HttpAnswer::new(200, CONTENT_TYPE, document))
    }

    fn content(&self, writer: &mut XmlWriter, number: u64) {
        let (code, text) = match self {
            Self::Refused { code, text } => (*code, Some(text.as_str())),
            _ => ("OK", None),
        };
        writer.text_element("StatusCode", code);
        writer.optional_element("ns2:Message", text);
        match self {
            Self::Refused { .. } => return,
            Self::Done => {}
            Self::Services(services) => {
                for (id, holding) in services {
                    writer.element("ns2:Subscription", &[], |writer| {
                        writer.text_element("ns2:ServiceId", id);
                        writer.optional_element("ns2:StartTime", holding.start.map(written).as_deref());
                        writer.optional_element("ns2:EndTime", holding.end.map(written).as_deref());
                    });
                }
            }
            Self::Pairings(pairings) => {
                for (card, modules) in pairings {
                    writer.element("ns2:Pairing", &[], |writer| {
                        writer.text_element("ns2:CaClientId", card);
                        for module in modules {
                            writer.text_element("ns2:PairingModuleId", module);
                        }
                    });
                }
            }
        }
        let uuid = Uuid::from_u64_pair(0x4000, 0x8000_0000_0000_0000 | number);
        writer.text_element("TransactionId", &uuid.to_string());
    }
}

fn written(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

/// A fault, with HTTP 500 \[S:SC\].
pub(super) fn fault(code: &str, text: &str) -> HttpAnswer {
    HttpAnswer::new(500, CONTENT_TYPE, soap::write_fault(code, text).unwrap_or_default())
}
