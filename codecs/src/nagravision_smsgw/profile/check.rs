//! A profile checked: every mistake is told with its path.

use std::collections::BTreeMap;
use std::time::Duration;

use headgate_core::text::from_hex;

use super::names::{CommandName, FieldName, ValueKind};
use super::table::{
    AnswerRow, CodeKind, CodeRow, CommandRow, FieldKind, FieldRow, FramingKind, FramingRow, ProfileTable,
};
use super::{AnswerForm, Code, CommandForm, Field, Form, Kind, Layout, Profile, find};
use crate::framing::{Framing, Marking};
use crate::registry::SettingsError;

/// Most digits of a number: what fits an unsigned 64-bit number, whatever the digits.
const MOST_DIGITS: usize = 18;
/// Most bytes of one text field.
const MOST_TEXT: usize = 65_536;
/// Most items of one list.
const MOST_ITEMS: usize = 1_000;
/// Most fields of one layout.
const MOST_FIELDS: usize = 64;

const HEADER_FIELDS: &[FieldName] = &[
    FieldName::TransactionNumber,
    FieldName::CommandType,
    FieldName::SourceId,
    FieldName::DestId,
    FieldName::MopPpid,
    FieldName::CreationDate,
];

type Checked<T> = Result<T, SettingsError>;

pub(super) fn compile(table: &ProfileTable) -> Checked<Profile> {
    let framing = framing(&table.framing)?;
    let header = layout("profile.header", &table.header, &[FieldName::TransactionNumber], HEADER_FIELDS)?;
    let section = layout("profile.section", &table.section, &[FieldName::CommandNumber], &[])?;
    numbers_only("profile.header", &header)?;
    numbers_only("profile.section", &section)?;

    let numbers = Numbers {
        command: digits_of(&section, FieldName::CommandNumber),
        kind: digits_of(&header, FieldName::CommandType),
        transaction: digits_of(&header, FieldName::TransactionNumber),
    };
    let mut by_number = BTreeMap::new();
    let ack = answer("ack", &table.ack, table, &numbers, &mut by_number, Form::Ack)?;
    let nack = answer("nack", &table.nack, table, &numbers, &mut by_number, Form::Nack)?;
    let commands = commands(table, &numbers, &ack, &mut by_number)?;
    Ok(Profile {
        name: table.name.clone(),
        charset: table.charset,
        framing,
        highest_transaction: numbers.transaction,
        codes: codes(&table.codes, digits_of(&nack.body, FieldName::Code))?,
        header,
        section,
        ack,
        nack,
        command_type: fits("profile.command_type", table.command_type, numbers.kind)?,
        commands,
        by_number,
        reasons: table.reasons,
    })
}

/// The highest numbers that the header's and the section's fields can say.
struct Numbers {
    command: u64,
    kind: u64,
    transaction: u64,
}

fn framing(row: &FramingRow) -> Checked<Framing> {
    let at = |part: &str| format!("profile.framing.{part}");
    let limit = within(at("limit"), row.limit, 16, 1 << 20)?;
    let counted = matches!(row.kind, FramingKind::BinaryLength | FramingKind::DecimalLength);
    if counted && row.delimiter.is_some() {
        return wrong(at("delimiter"), "only frames of kind \"delimiter\" have one");
    }
    if !counted && (row.width.is_some() || row.counts_itself.is_some()) {
        let part = if row.width.is_some() { "width" } else { "counts_itself" };
        return wrong(at(part), "frames of kind \"delimiter\" have no length; remove it");
    }
    let counts_itself = row.counts_itself.unwrap_or(false);
    let width = |most| match row.width {
        Some(width) => within(at("width"), width, 1, most),
        None => wrong(at("width"), "say how wide the length is"),
    };
    let marking = match row.kind {
        FramingKind::BinaryLength => Marking::BinaryLength { width: width(4)?, counts_itself },
        FramingKind::DecimalLength => Marking::DecimalLength { width: width(9)?, counts_itself },
        FramingKind::Delimiter => match row.delimiter.as_deref().map(from_hex) {
            None => return wrong(at("delimiter"), "give the bytes that end a frame, in hexadecimal"),
            Some(Err(error)) => return wrong(at("delimiter"), error.to_string()),
            Some(Ok(bytes)) if bytes.is_empty() || bytes.len() > 8 => {
                return wrong(at("delimiter"), "must be 1 to 8 bytes");
            }
            Some(Ok(bytes)) => Marking::Delimiter(bytes.into()),
        },
    };
    Ok(Framing { marking, limit })
}

/// Checks the rows of a layout, which must have all `required` fields and may have `optional` ones.
fn layout(path: &str, rows: &[FieldRow], required: &[FieldName], optional: &[FieldName]) -> Checked<Layout> {
    if rows.len() > MOST_FIELDS {
        return wrong(path, format!("has {} fields; at most {MOST_FIELDS} are allowed", rows.len()));
    }
    let mut fields: Vec<Field> = Vec::with_capacity(rows.len());
    for (index, row) in rows.iter().enumerate() {
        let at = format!("{path}[{index}]");
        let allowed = row.field == FieldName::Literal || required.contains(&row.field) || optional.contains(&row.field);
        if !allowed {
            let known: Vec<_> = required.iter().chain(optional).map(|name| name.name()).collect();
            let known = if known.is_empty() { "only literals".into() } else { known.join(", ") };
            return wrong(format!("{at}.field"), format!("{} has no value here; known: {known}", row.field.name()));
        }
        if row.field != FieldName::Literal && find(&fields, row.field).is_some() {
            return wrong(format!("{at}.field"), format!("{} stands here twice", row.field.name()));
        }
        fields.push(Field { name: row.field, kind: kind(&at, row)? });
    }
    if let Some(missing) = required.iter().find(|name| find(&fields, **name).is_none()) {
        return wrong(path, format!("must have the field {}", missing.name()));
    }
    Ok(fields.into())
}

fn kind(at: &str, row: &FieldRow) -> Checked<Kind> {
    let place = |part: &str| format!("{at}.{part}");
    only_for(row.max.is_some(), matches!(row.kind, FieldKind::Counted | FieldKind::List), place("max"), row.kind)?;
    only_for(row.only.is_some(), matches!(row.kind, FieldKind::Text | FieldKind::Counted), place("only"), row.kind)?;
    only_for(row.text.is_some(), row.kind == FieldKind::Literal, place("text"), row.kind)?;
    only_for(row.fields.is_some(), row.kind == FieldKind::List, place("fields"), row.kind)?;
    let has_width = !matches!(row.kind, FieldKind::Date | FieldKind::Literal);
    only_for(row.width.is_some(), has_width, place("width"), row.kind)?;
    let width = |most| match row.width {
        Some(width) => within(place("width"), width, 1, most),
        None => wrong(place("width"), "say how many characters it has"),
    };
    let max = |most: usize, digits: usize| match row.max {
        Some(max) => within(place("max"), max, 1, most.min(sayable(digits))),
        None => Ok(most.min(sayable(digits))),
    };
    let fitting = match row.field.value_kind() {
        ValueKind::Number => matches!(row.kind, FieldKind::Number),
        ValueKind::Date => matches!(row.kind, FieldKind::Date),
        ValueKind::List => matches!(row.kind, FieldKind::List),
        ValueKind::Text if row.field == FieldName::Literal => matches!(row.kind, FieldKind::Literal),
        ValueKind::Text => {
            matches!(row.kind, FieldKind::Text | FieldKind::Counted | FieldKind::Hex | FieldKind::Number)
        }
    };
    if !fitting {
        return wrong(place("kind"), format!("{} can not be written as {:?}", row.field.name(), row.kind));
    }
    Ok(match row.kind {
        FieldKind::Number => Kind::Number { width: width(MOST_DIGITS)? },
        FieldKind::Text => Kind::Text { width: width(MOST_TEXT)?, only: row.only.unwrap_or_default() },
        FieldKind::Counted => {
            let width = width(6)?;
            Kind::Counted { width, max: max(MOST_TEXT, width)?, only: row.only.unwrap_or_default() }
        }
        FieldKind::Hex => Kind::Hex { width: width(64)? },
        FieldKind::Date => Kind::Date,
        FieldKind::List => {
            let width = width(4)?;
            let (required, optional): (&[_], &[_]) = match row.field {
                FieldName::Stbs => (&[FieldName::Stb], &[]),
                _ => (&[FieldName::Product], &[FieldName::BeginDate, FieldName::EndDate, FieldName::Suspended]),
            };
            let Some(rows) = row.fields.as_deref() else {
                return wrong(place("fields"), "say which fields an item has");
            };
            let fields = layout(&place("fields"), rows, required, optional)?;
            Kind::List { width, max: max(MOST_ITEMS, width)?, fields }
        }
        FieldKind::Literal => match row.text.as_deref() {
            Some(text) if !text.is_empty() && text.bytes().all(|b| (0x20..0x7f).contains(&b)) => {
                Kind::Literal(text.as_bytes().into())
            }
            _ => return wrong(place("text"), "give at least one printable ASCII character"),
        },
    })
}

/// Header and section are read before anything else is known, so they hold nothing but numbers, days and literals.
fn numbers_only(path: &str, layout: &[Field]) -> Checked<()> {
    match layout.iter().position(|field| !matches!(field.kind, Kind::Number { .. } | Kind::Date | Kind::Literal(_))) {
        Some(index) => wrong(format!("{path}[{index}].kind"), "must be number, date or literal here"),
        None => Ok(()),
    }
}

fn answer(
    name: &str,
    row: &AnswerRow,
    table: &ProfileTable,
    numbers: &Numbers,
    by_number: &mut BTreeMap<u64, Form>,
    form: Form,
) -> Checked<AnswerForm> {
    let path = format!("profile.{name}");
    let (required, optional): (&[_], &[_]) = match form {
        Form::Nack => (&[FieldName::Code], &[FieldName::AnsweredCommand, FieldName::ErrorText, FieldName::Reference]),
        _ => (&[], &[FieldName::AnsweredCommand, FieldName::Reference]),
    };
    let number = number(&format!("{path}.number"), &row.number, numbers.command)?;
    claim(&format!("{path}.number"), by_number, number, form)?;
    let body = layout(&format!("{path}.body"), &row.body, required, optional)?;
    let command_type = row.command_type.unwrap_or(table.command_type);
    Ok(AnswerForm { number, command_type: fits(&format!("{path}.command_type"), command_type, numbers.kind)?, body })
}

fn commands(
    table: &ProfileTable,
    numbers: &Numbers,
    ack: &AnswerForm,
    by_number: &mut BTreeMap<u64, Form>,
) -> Checked<BTreeMap<CommandName, CommandForm>> {
    let mut commands = BTreeMap::new();
    for (key, row) in &table.commands {
        let path = format!("profile.commands.{key}");
        let Some(name) = CommandName::from_name(key) else {
            let known: Vec<_> = CommandName::ALL.iter().map(|name| name.name()).collect();
            return wrong(path, format!("is no command; known: {}", known.join(", ")));
        };
        let command = command(&path, name, row, table, numbers)?;
        claim(&format!("{path}.number"), by_number, command.number, Form::Command(name))?;
        if !command.answer.is_empty() && find(&ack.body, FieldName::AnsweredCommand).is_none() {
            let text = "can only be read if profile.ack.body has the field answered_command";
            return wrong(format!("{path}.answer"), text);
        }
        commands.insert(name, command);
    }
    Ok(commands)
}

fn command(
    path: &str,
    name: CommandName,
    row: &CommandRow,
    table: &ProfileTable,
    numbers: &Numbers,
) -> Checked<CommandForm> {
    let command_type = row.command_type.unwrap_or(table.command_type);
    Ok(CommandForm {
        name,
        number: number(&format!("{path}.number"), &row.number, numbers.command)?,
        command_type: fits(&format!("{path}.command_type"), command_type, numbers.kind)?,
        body: layout(&format!("{path}.body"), &row.body, name.required(), name.optional())?,
        answer: layout(&format!("{path}.answer"), &row.answer, name.answered_with(), &[])?,
        confirmed: row.confirmed,
    })
}

fn codes(rows: &BTreeMap<String, CodeRow>, highest: u64) -> Checked<BTreeMap<u64, Code>> {
    let mut codes: BTreeMap<u64, Code> = BTreeMap::new();
    for (name, row) in rows {
        let at = |part: &str| format!("profile.codes.{name}.{part}");
        let number = number(&at("number"), &row.number, highest)?;
        if let Some(other) = codes.get(&number) {
            return wrong(at("number"), format!("{} is already the number of {}", row.number, other.name));
        }
        only_for(row.pause.is_some(), row.kind == CodeKind::RetryLater, at("pause"), row.kind)?;
        let pause = row.pause.unwrap_or(Duration::from_secs(1));
        if !(Duration::from_millis(1)..=Duration::from_hours(1)).contains(&pause) {
            return wrong(at("pause"), "must be 1ms to 1h");
        }
        codes.insert(number, Code { name: name.clone(), text: row.text.clone(), kind: row.kind, pause });
    }
    Ok(codes)
}

/// Two meanings of one number could not be told apart.
fn claim(path: &str, by_number: &mut BTreeMap<u64, Form>, number: u64, form: Form) -> Checked<()> {
    match by_number.insert(number, form) {
        None => Ok(()),
        Some(Form::Command(name)) => wrong(path, format!("{number} is already the number of {}", name.name())),
        Some(Form::Ack) => wrong(path, format!("{number} is already the number of ack")),
        Some(Form::Nack) => wrong(path, format!("{number} is already the number of nack")),
    }
}

fn number(path: &str, digits: &str, highest: u64) -> Checked<u64> {
    match digits.parse() {
        Ok(number) if digits.bytes().all(|b| b.is_ascii_digit()) => fits(path, number, highest),
        _ => wrong(path, "must be decimal digits, as in \"0002\""),
    }
}

fn fits(path: &str, number: u64, highest: u64) -> Checked<u64> {
    if number <= highest {
        Ok(number)
    } else {
        wrong(path, format!("{number} is more than its field can say: {highest}"))
    }
}

fn within(path: String, value: usize, least: usize, most: usize) -> Checked<usize> {
    if (least..=most).contains(&value) { Ok(value) } else { wrong(path, format!("{value} is not {least} to {most}")) }
}

fn only_for(given: bool, takes_it: bool, path: String, kind: impl std::fmt::Debug) -> Checked<()> {
    if given && !takes_it { wrong(path, format!("{kind:?} does not take it; remove it")) } else { Ok(()) }
}

/// The highest number a numeric field can say; without limit where the layout has no such field.
fn digits_of(layout: &[Field], name: FieldName) -> u64 {
    match find(layout, name).map(|field| &field.kind) {
        Some(Kind::Number { width }) => u64::try_from(sayable(*width)).unwrap_or(u64::MAX),
        _ => u64::MAX,
    }
}

fn sayable(digits: usize) -> usize {
    u32::try_from(digits).ok().and_then(|digits| 10_usize.checked_pow(digits)).map_or(usize::MAX, |n| n - 1)
}

fn wrong<T>(path: impl Into<String>, text: impl Into<String>) -> Checked<T> {
    Err(SettingsError::new(path, text))
}
