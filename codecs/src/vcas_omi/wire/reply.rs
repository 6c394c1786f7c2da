//! What is answered: a session, a result, a result for every item, or a result with what was asked for.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::operations::{Form, Operation};
use super::types::{ResultList, ResultRecord, SessionHandle};
use super::value::{Children, Content, Misfit, Strictness};
use super::{OMI, PREFIXES, TYPES};
use crate::http::soap::{self, SoapError};
use crate::xml::Element;
use crate::xml::write::{Unwritable, XmlWriter};

/// The code of what is done \[S:FIM\].
pub const DONE: i32 = 0;

/// An answer.
#[derive(Clone)]
pub enum Reply {
    /// To `signOn`: the handle, if the result is good.
    Session(Option<String>, ResultRecord),
    /// One result.
    Result(ResultRecord),
    /// A result for every item.
    List(Vec<ResultRecord>),
    /// A result, and the element that holds what was asked for.
    Query(ResultRecord, Element),
}

/// Why an answer is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// It is no envelope, or holds a fault.
    #[error(transparent)]
    Soap(#[from] SoapError),
    /// It is an envelope with something else in it.
    #[error("{0}")]
    Misfit(#[from] Misfit),
}

impl Reply {
    /// Reads the answer to an operation, of at most `limit` bytes.
    ///
    /// # Errors
    /// [`ReplyError`]: what it is instead.
    pub fn read(operation: &Operation, bytes: &[u8], limit: usize) -> Result<Self, ReplyError> {
        let body = soap::read(bytes, limit)?;
        let expected = format!("{}Response", operation.name);
        let element = match body.as_slice() {
            [element] if element.is(Some(OMI), &expected) => element,
            _ => return Err(Misfit(format!("the body is not one <{expected}> of OMI")).into()),
        };
        let mut parts = Children::parts(element, Strictness::Lenient);
        let mut result = || {
            let part = parts.maybe("result")?;
            part.map(|part| ResultRecord::read(part, Strictness::Lenient)).transpose()
        };
        let reply = match operation.form {
            Form::Session => {
                let result = result()?.ok_or_else(|| Misfit::of(element, "has no <result>"))?;
                let handle = parts.maybe("sessionHandle")?;
                let handle = handle.map(|part| SessionHandle::read(part, Strictness::Lenient));
                // A refusal may come with a handle that is none.
                let handle = if result.code == DONE { handle.transpose()? } else { None };
                Self::Session(handle.map(|session| session.handle), result)
            }
            Form::Result => Self::Result(result()?.ok_or_else(|| Misfit::of(element, "has no <result>"))?),
            // A refusal of the whole may come as one result.
            Form::List => match result()? {
                Some(whole) => Self::List(vec![whole]),
                None => Self::List(ResultList::read(parts.one("resultList")?, Strictness::Lenient)?.results),
            },
            Form::Query => {
                let part = parts.one("queryResult")?;
                let mut inner = Children::of(part, Strictness::Lenient);
                let result = ResultRecord::read(inner.one("result")?, Strictness::Lenient)?;
                Self::Query(result, part.clone())
            }
        };
        Ok(reply)
    }

    /// Writes the answer to an operation that is not a question.
    ///
    /// # Errors
    /// [`Unwritable`] if a text can not stand in XML.
    pub fn write(&self, operation: &Operation) -> Result<Bytes, Unwritable> {
        envelope(operation, |writer| match self {
            Self::Session(handle, result) => {
                if let Some(handle) = handle {
                    SessionHandle { handle: handle.clone() }.write_as("sessionHandle", writer);
                }
                result.write_as("result", writer);
            }
            Self::Result(result) => result.write_as("result", writer),
            Self::List(results) => ResultList { results: results.clone() }.write_as("resultList", writer),
            Self::Query(result, found) => writer.element("queryResult", &[], |writer| {
                result.write_as("t:result", writer);
                found.children.iter().filter(|child| child.name != "result").for_each(|child| writer.tree(child));
            }),
        })
    }

    /// Writes the answer to a question: a result, and what `found` writes.
    ///
    /// # Errors
    /// [`Unwritable`] if a text can not stand in XML.
    pub fn write_query(
        operation: &Operation,
        result: &ResultRecord,
        found: impl FnOnce(&mut XmlWriter),
    ) -> Result<Bytes, Unwritable> {
        envelope(operation, |writer| {
            writer.element("queryResult", &[], |writer| {
                result.write_as("t:result", writer);
                found(writer);
            });
        })
    }
}

/// The records within `element`, at whatever depth, that have a child of that name: what a question found. The names
/// around them are not in a public source \[I\].
///
/// # Errors
/// [`Misfit`] if one of them is not of the type.
pub fn records<T: Content>(element: &Element, child: &str) -> Result<Vec<T>, Misfit> {
    let mut found = Vec::new();
    gather(element, child, &mut found)?;
    Ok(found)
}

fn gather<T: Content>(element: &Element, child: &str, found: &mut Vec<T>) -> Result<(), Misfit> {
    if element.children.iter().any(|inner| inner.is(Some(TYPES), child)) {
        found.push(T::read(element, Strictness::Lenient)?);
        return Ok(());
    }
    element.children.iter().try_for_each(|inner| gather(inner, child, found))
}

/// The texts of the elements of that name within `element`, at whatever depth.
#[must_use]
pub fn texts<'a>(element: &'a Element, name: &str) -> Vec<&'a str> {
    let own = element.is(Some(TYPES), name).then(|| element.text.trim());
    own.into_iter().chain(element.children.iter().flat_map(|inner| texts(inner, name))).collect()
}

/// What became of one item of a list call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemResult<'a> {
    /// It is done.
    Done,
    /// It was refused, with this code and text.
    Refused(i32, &'a str),
    /// The answer does not say.
    Unsaid,
}

/// Matches results to the items of a call: by `resultId`, and what is left by its place, since no public source tells
/// whether results keep the order of items, nor what `resultId` is \[I\].
#[must_use]
pub fn match_items<'a>(ids: &[&str], results: &'a [ResultRecord]) -> Vec<ItemResult<'a>> {
    let told = |result: &'a ResultRecord| match result.code {
        DONE => ItemResult::Done,
        code => ItemResult::Refused(code, &result.text),
    };
    let wanted: BTreeSet<&str> = ids.iter().copied().collect();
    if let ([only], true) = (results, ids.len() > 1)
        && only.code != DONE
        && !wanted.contains(only.id.as_str())
    {
        // One refusal of nobody's: of the whole.
        return vec![told(only); ids.len()];
    }
    let mut named: BTreeMap<&str, Vec<&'a ResultRecord>> = BTreeMap::new();
    for result in results.iter().filter(|result| wanted.contains(result.id.as_str())) {
        named.entry(&result.id).or_default().push(result);
    }
    let by_id = |id: &str| match named.get(id).map(Vec::as_slice) {
        Some([only]) => Some(*only),
        _ => None,
    };
    let same_length = ids.len() == results.len();
    let by_place =
        |place: usize| results.get(place).filter(|result| same_length && by_id(result.id.as_str()).is_none());
    let found = ids.iter().enumerate().map(|(place, id)| by_id(id).or_else(|| by_place(place)));
    found.map(|result| result.map_or(ItemResult::Unsaid, told)).collect()
}

fn envelope(operation: &Operation, parts: impl FnOnce(&mut XmlWriter)) -> Result<Bytes, Unwritable> {
    soap::write(PREFIXES, |writer| writer.element(&format!("omi:{}Response", operation.name), &[], parts))
}
