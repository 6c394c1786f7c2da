//! What is asked: an operation with its parts, and the session's handle as the last of them.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::operations::{Form, Operation, find};
use super::types::{
    ContentList, Device, DeviceCommand, DeviceEntitlementsQuery, DeviceList, DeviceListQuery, DevicePair,
    DevicePinList, DevicePurse, DeviceRegion, Domain, DomainDeviceList, DomainEntitlementsQuery, DomainList,
    EntitledEntity, EntitledEntityList, EntitlementList, EntitlementListQuery, EventList, EventQuery, MessageEntity,
    MessageHandle, Network, NetworkContent, NetworkDeviceIdQuery, NetworkQuery, OnScreenMessage, Package, PackageList,
    PackageListQuery, PackageQuery, PreloadedMessage, PreloadedOnScreenMessage, RetailerEntitlementsQuery,
    SessionHandle, Site, SmartCardDevice, SmartCardPairingQuery, StbDevice, StbPairingQuery, UserAttributes,
};
use super::value::{Children, Content, Misfit, Opaque, Strictness, shown};
use super::{OMI, PREFIXES};
use crate::http::soap;
use crate::xml::write::{Unwritable, XmlWriter};
use crate::xml::{Element, parse};

/// The part that carries the session.
pub const SESSION: &str = "sessionHandle";

/// The elements that hold secrets, beside PINs.
pub const SECRETS: [&str; 4] = ["authPassword", "newPassword", "password", "smsAuthenticator"];

/// The names of the one part of questions, by operation, where they differ from our table's.
pub type QueryParts = BTreeMap<String, String>;

macro_rules! kinds {
    ($($kind:ident,)*) => {
        /// The type of a part.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind {
            $(#[doc = concat!("[`", stringify!($kind), "`]")] $kind,)*
        }

        /// A part: a value of one of the types.
        #[derive(Clone, PartialEq, Eq)]
        pub enum Part {
            $(#[doc = concat!("[`", stringify!($kind), "`]")] $kind($kind),)*
        }

        impl Part {
            /// Writes it as an element of that name.
            pub fn write(&self, name: &str, writer: &mut XmlWriter) {
                match self { $(Self::$kind(value) => value.write_as(name, writer),)* }
            }

            /// Reads an element as a part of that type.
            ///
            /// # Errors
            /// [`Misfit`]: what does not fit.
            pub fn read(kind: Kind, element: &Element, strictness: Strictness) -> Result<Self, Misfit> {
                match kind { $(Kind::$kind => $kind::read(element, strictness).map(Self::$kind),)* }
            }
        }
    };
}

kinds! {
    ContentList,
    Device,
    DeviceCommand,
    DeviceEntitlementsQuery,
    DeviceList,
    DeviceListQuery,
    DevicePair,
    DevicePinList,
    DevicePurse,
    DeviceRegion,
    Domain,
    DomainDeviceList,
    DomainEntitlementsQuery,
    DomainList,
    EntitledEntity,
    EntitledEntityList,
    EntitlementList,
    EntitlementListQuery,
    EventList,
    EventQuery,
    MessageEntity,
    MessageHandle,
    Network,
    NetworkContent,
    NetworkDeviceIdQuery,
    NetworkQuery,
    OnScreenMessage,
    Opaque,
    Package,
    PackageList,
    PackageListQuery,
    PackageQuery,
    PreloadedMessage,
    PreloadedOnScreenMessage,
    RetailerEntitlementsQuery,
    Site,
    SmartCardDevice,
    SmartCardPairingQuery,
    StbDevice,
    StbPairingQuery,
    UserAttributes,
}

/// An operation with its parts, typed.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    /// Which operation.
    pub operation: &'static Operation,
    /// Its parts, in the order of the table; without the session's handle.
    pub parts: Vec<Part>,
}

impl Call {
    /// Writes the envelope; `session` is added as the last part.
    ///
    /// # Errors
    /// [`Unwritable`] if a text can not stand in XML.
    pub fn write(&self, session: Option<&str>, names: &QueryParts) -> Result<Bytes, Unwritable> {
        envelope(self.operation, session, |writer| {
            for ((name, _), part) in self.operation.parts.iter().zip(&self.parts) {
                part.write(part_name(self.operation, name, names), writer);
            }
        })
    }

    /// Reads the element of an operation; gives the session's handle apart.
    ///
    /// # Errors
    /// [`Misfit`]: what does not fit.
    pub fn read(
        element: &Element,
        names: &QueryParts,
        strictness: Strictness,
    ) -> Result<(Self, Option<String>), Misfit> {
        let operation = operation_of(element)?;
        let mut children = Children::parts(element, strictness);
        let mut parts = Vec::with_capacity(operation.parts.len());
        for (name, kind) in operation.parts {
            let part = children.one(part_name(operation, name, names))?;
            parts.push(Part::read(*kind, part, strictness)?);
        }
        let session = children.maybe(SESSION)?.map(|part| SessionHandle::read(part, strictness)).transpose()?;
        children.finish()?;
        Ok((Self { operation, parts }, session.map(|session| session.handle)))
    }
}

/// An operation as a CRM wrote it: checked, kept as it is, sent with our session.
#[derive(Clone, PartialEq, Eq)]
pub struct RawCall {
    /// Which operation.
    pub operation: &'static Operation,
    /// Its element.
    element: Element,
}

impl RawCall {
    /// Reads `payload`: the element of one operation, without a session's handle.
    ///
    /// What a public source names must be as it says. Of other operations only the outer form is checked.
    ///
    /// # Errors
    /// [`Misfit`]: what does not fit.
    pub fn read(payload: &[u8], limit: usize, names: &QueryParts) -> Result<Self, Misfit> {
        let element = parse(payload, limit).map_err(|error| Misfit(format!("no XML of one element: {error}")))?;
        let operation = operation_of(&element)?;
        if operation.form == Form::Session || operation.name == "signOff" {
            return Err(Misfit(format!("<{}> is not for you: the session is opened and ended by us", operation.name)));
        }
        if element.children.iter().any(|part| part.name == SESSION) {
            return Err(Misfit::of(&element, "must not hold <sessionHandle>: it is added to every call"));
        }
        if element.children.iter().any(|part| part.namespace.is_some()) {
            return Err(Misfit::of(&element, "has a part in a namespace, though parts are in none (write xmlns=\"\")"));
        }
        if operation.sourced {
            Call::read(&element, names, Strictness::Strict)?;
        }
        Ok(Self { operation, element })
    }

    /// Writes the envelope; `session` is added as the last part.
    ///
    /// # Errors
    /// [`Unwritable`] if a text can not stand in XML.
    pub fn write(&self, session: Option<&str>) -> Result<Bytes, Unwritable> {
        envelope(self.operation, session, |writer| self.element.children.iter().for_each(|part| writer.tree(part)))
    }

    /// The texts in it that are secrets.
    #[must_use]
    pub fn secrets(&self) -> Vec<&str> {
        secrets_in(&self.element)
    }
}

/// The operation that an element names.
///
/// # Errors
/// [`Misfit`] if there is none of that name, or it is in another namespace.
pub fn operation_of(element: &Element) -> Result<&'static Operation, Misfit> {
    if element.namespace.as_deref() != Some(OMI) {
        return Err(Misfit::of(element, &format!("is not in the namespace {OMI}")));
    }
    find(&element.name).ok_or_else(|| Misfit(format!("OMI has no operation <{}>", shown(&element.name))))
}

fn envelope(
    operation: &Operation,
    session: Option<&str>,
    parts: impl FnOnce(&mut XmlWriter),
) -> Result<Bytes, Unwritable> {
    soap::write(PREFIXES, |writer| {
        writer.element(&format!("omi:{}", operation.name), &[], |writer| {
            parts(writer);
            if let Some(handle) = session {
                SessionHandle { handle: handle.to_owned() }.write_as(SESSION, writer);
            }
        });
    })
}

/// The name of an operation's part.
fn part_name<'a>(operation: &Operation, name: &'a str, names: &'a QueryParts) -> &'a str {
    match operation.form {
        Form::Query => names.get(operation.name).map_or(name, String::as_str),
        _ => name,
    }
}

/// The texts within an element that are secrets, as they stand there.
#[must_use]
pub fn secrets_in(element: &Element) -> Vec<&str> {
    let secret =
        |child: &&Element| SECRETS.contains(&child.name.as_str()) || (element.name == "pins" && child.name == "value");
    let own = element.children.iter().filter(secret).map(|child| child.text.as_str());
    own.chain(element.children.iter().flat_map(secrets_in)).collect()
}
