//! A profile as it is written: TOML under `settings.profile`, or the file that a protocol ships.

use std::collections::BTreeMap;
use std::time::Duration;

use headgate_core::command::{CommandKind, DisableReason};
use headgate_core::http::Method;
use schemars::JsonSchema;
use serde::Deserialize;

/// How a platform is talked to: its operations, and how its answers are read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "TemplateProfile")]
pub struct ProfileTable {
    /// Its name, for people.
    pub name: String,
    /// The zone in which `|date:FORMAT` writes, by its IANA name. Default `UTC`.
    pub time_zone: Option<String>,
    /// Header fields that every call has: name and template.
    pub headers: Vec<(String, String)>,
    /// How every call is signed, where its operation does not say.
    pub sign: Option<SignTable>,
    /// Whether XML bodies stand in a SOAP 1.1 envelope. Default false.
    pub soap: bool,
    /// Prefixes that are declared at the top of every XML body: prefix and namespace. Without one, a namespace is
    /// declared where it begins.
    pub prefixes: BTreeMap<String, String>,
    /// The operation that opens a session, where the platform has sessions.
    pub login: Option<LoginTable>,
    /// How `raw` messages are sent; absent: they are not supported.
    pub raw: Option<RawTable>,
    /// Whom messages reach and how long they may be.
    pub messages: MessagesTable,
    /// How answers are read, where the operation does not say.
    pub answer: AnswerTable,
    /// What the platform's error codes mean; `http_404` and the like for answers that have no code of their own. A code
    /// that is not listed is a refusal.
    pub errors: BTreeMap<String, ErrorTable>,
    /// The operations, by the name of the command they carry out, or by any name.
    pub operations: BTreeMap<String, OperationTable>,
}

/// One call of a platform.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "TemplateOperation")]
pub struct OperationTable {
    /// The command it carries out. Default: that of its name. An operation that only `then` or `login` leads to has none.
    pub command: Option<CommandKind>,
    /// When it carries out the command; an operation without conditions does where no other does.
    pub when: WhenTable,
    /// One call for each: at most one of `smartcard` and `stb`, and `service`. Default: one call for everything.
    pub for_each: Vec<EachTable>,
    /// One call for so many smartcards.
    pub smartcards_per_call: Option<usize>,
    /// One call for so many set-top boxes.
    pub stbs_per_call: Option<usize>,
    /// One call for so many services.
    pub services_per_call: Option<usize>,
    /// The operation that follows when this one is done; it can use what this one kept.
    pub then: Option<String>,

    /// Which of the provider's end points; absent: the main one.
    pub endpoint: Option<String>,
    /// The method. Default `POST`.
    pub method: Option<Method>,
    /// The path, beginning with `/`. Each placeholder is one segment, or a part of one.
    pub path: String,
    /// The query: pairs of name and template.
    pub query: Vec<(String, String)>,
    /// Header fields beside the profile's: name and template.
    pub headers: Vec<(String, String)>,
    /// A JSON body: a table, or JSON as text. Placeholders stand in texts; a text that is one placeholder keeps the kind of
    /// its value.
    pub json: Option<serde_json::Value>,
    /// An XML body, as text. Placeholders stand in texts and attributes.
    pub xml: Option<String>,
    /// A form: pairs of name and template.
    pub form: Option<Vec<(String, String)>>,
    /// How it is signed. Default: as the profile says.
    pub sign: Option<SignTable>,

    /// Whether it changes nothing at the platform. Default: true for commands that ask.
    pub harmless: Option<bool>,
    /// Whether sending it twice does what sending it once does. Default true.
    pub safe_to_repeat: Option<bool>,
    /// Whether the wire form is known from a source. Default false.
    pub confirmed: bool,
    /// Whether the request must name the subscription, or its account. Default false.
    pub account: bool,
    /// How many services: a number, or `[least, most]`. Default none.
    pub services: Option<CountTable>,
    /// How many smartcards. Default none.
    pub smartcards: Option<CountTable>,
    /// How many set-top boxes. Default none.
    pub stbs: Option<CountTable>,

    /// How its answer is read. Default: as the profile says.
    pub answer: AnswerTable,
    /// What error codes mean for it, before the profile's.
    pub errors: BTreeMap<String, ErrorTable>,
    /// What its answer tells.
    pub extract: ExtractTable,
}

/// When an operation carries out its command. All that is given must be so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "TemplateWhen")]
pub struct WhenTable {
    /// The message is of this kind.
    pub message: Option<MessageKindTable>,
    /// The message is for these.
    pub to: Option<AudienceTable>,
    /// The reason is this one.
    pub reason: Option<DisableReason>,
    /// The services: all that are held (`all`), or a list of them (`listed`).
    pub services: Option<ServicesTable>,
    /// These values are there, by their names in placeholders.
    pub given: Vec<String>,
    /// These values are not there.
    pub absent: Vec<String>,
}

/// A kind of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "TemplateMessageKind")]
pub enum MessageKindTable {
    /// Into the mailbox.
    Mail,
    /// Over the picture.
    Bark,
    /// Over the picture, again and again.
    RepeatingBark,
}

/// Who sees a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "TemplateAudience")]
pub enum AudienceTable {
    /// The devices that the request names.
    Devices,
    /// Every device of the account.
    Subscriber,
    /// Every device that holds a service.
    HoldersOf,
    /// A part of the network.
    Region,
    /// Every device.
    Everybody,
}

/// Which services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "TemplateServices")]
pub enum ServicesTable {
    /// All that are held.
    All,
    /// These.
    Listed,
}

/// What is gone through one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "TemplateEach")]
pub enum EachTable {
    /// The services.
    Service,
    /// The smartcards.
    Smartcard,
    /// The set-top boxes.
    Stb,
}

/// How many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "TemplateCount")]
pub enum CountTable {
    /// Exactly so many.
    Exactly(usize),
    /// From the first to the second.
    Range(usize, usize),
}

/// How a call is signed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TemplateSign")]
pub struct SignTable {
    /// The scheme, one of the protocol's; `none`: not at all.
    pub by: String,
    /// The parameters that are signed, in order, by their names in the query or the form, for schemes that need it told.
    #[serde(default)]
    pub values: Vec<String>,
    /// The version of the signature, for schemes that have several.
    #[serde(default)]
    pub version: Option<String>,
}

/// How a session is opened.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TemplateLogin")]
pub struct LoginTable {
    /// The operation; its `extract.session` tells the session, which placeholders name `session`.
    pub operation: String,
    /// After how long it is opened anew. Default: when the platform says that it is lost.
    #[serde(default, with = "jiff::fmt::serde::unsigned_duration::friendly::compact::optional")]
    #[schemars(with = "Option<String>")]
    pub renew_after: Option<Duration>,
}

/// How `raw` messages are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "TemplateRaw")]
pub struct RawTable {
    /// Where an XML payload is sent; absent: a payload must be a call in JSON.
    pub path: Option<String>,
    /// How they are signed. Default: as the profile says.
    pub sign: Option<SignTable>,
}

/// Whom messages reach, and how many UTF-8 bytes they may have; absent: no such messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "TemplateMessages")]
pub struct MessagesTable {
    /// Most bytes of a mail.
    pub mail: Option<usize>,
    /// Most bytes of a bark.
    pub bark: Option<usize>,
    /// Most bytes of a repeating bark.
    pub repeating_bark: Option<usize>,
    /// Whether one message reaches every device of an account.
    pub to_subscriber: bool,
    /// Whether one message reaches every holder of a service.
    pub to_holders: bool,
    /// Whether one message reaches a part of the network.
    pub to_region: bool,
    /// Whether one message reaches every device.
    pub to_everybody: bool,
}

/// How an answer is read. Paths are names joined by `/`: members and places of lists in JSON, elements by their local names
/// in XML (the root's own name left out), `@name` an attribute, `*` any one, `**` any number of levels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "TemplateAnswer")]
pub struct AnswerTable {
    /// In what form. Default `json`.
    pub format: Option<FormatTable>,
    /// The HTTP status codes of success. Default: 200 to 299.
    pub status: Vec<u16>,
    /// What must be so of the answer of a success.
    pub success: Option<TestTable>,
    /// Where an error's code is: the first path that leads to a text.
    pub error_code: Vec<String>,
    /// Where an error's text is, likewise.
    pub error_text: Vec<String>,
}

/// In what form answers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "TemplateFormat")]
pub enum FormatTable {
    /// JSON.
    Json,
    /// Nothing is read but the status.
    None,
    /// XML.
    Xml,
}

/// A condition on an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TemplateTest")]
pub struct TestTable {
    /// The path.
    pub at: String,
    /// The text there is one of these; empty: there must be something.
    #[serde(default)]
    pub is: Vec<String>,
}

/// What an error code means.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TemplateError")]
pub struct ErrorTable {
    /// What it means.
    pub meaning: Meaning,
    /// For `retry_later`: after how long.
    #[serde(default, with = "jiff::fmt::serde::unsigned_duration::friendly::compact::optional")]
    #[schemars(with = "Option<String>")]
    pub after: Option<Duration>,
}

/// What an error code means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "TemplateMeaning")]
pub enum Meaning {
    /// The platform does not accept our credentials: nothing was done.
    NotAdmitted,
    /// The platform said no.
    Rejected,
    /// It is so already: as good as done.
    RepeatIsFine,
    /// Nothing was done; it may work later.
    RetryLater,
    /// The session is not known any more: nothing was done.
    SessionLost,
    /// Nobody can tell what was done.
    Unclear,
}

/// What an answer tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "TemplateExtract")]
pub struct ExtractTable {
    /// The platform's own number of the request.
    pub reference: Option<String>,
    /// What the login gave.
    pub session: Option<String>,
    /// Values for the operations that follow, by the name that `kept.NAME` gives them.
    pub keep: BTreeMap<String, String>,
    /// The whole answer, as it came.
    pub raw: bool,
    /// Services that are held.
    pub services: Option<ServicesExtract>,
    /// Pairings.
    pub pairings: Option<PairingsExtract>,
    /// Devices.
    pub devices: Option<DevicesExtract>,
    /// An account.
    pub subscriber: Option<SubscriberExtract>,
    /// Credentials that are good.
    pub authenticated: Option<AuthenticatedExtract>,
}

/// Where services are. The paths of one are below `each`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TemplateHeldServices")]
pub struct ServicesExtract {
    /// Every service.
    pub each: String,
    /// The platform's id of it; empty: `each` itself.
    #[serde(default)]
    pub ca_id: String,
    /// The smartcard that holds it; absent: the request's, or else the account.
    #[serde(default)]
    pub smartcard: Option<String>,
    /// Since when.
    #[serde(default)]
    pub start: Option<String>,
    /// Until when.
    #[serde(default)]
    pub end: Option<String>,
    /// Whether it is switched off for a while.
    #[serde(default)]
    pub suspended: Option<TestTable>,
    /// How times are written. Default `rfc3339`.
    #[serde(default)]
    pub times: TimesTable,
}

/// How an answer writes times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "TemplateTimes")]
pub enum TimesTable {
    /// As in `2026-01-15T12:00:00Z`; without a zone: in the profile's.
    #[default]
    Rfc3339,
    /// Seconds since 1970.
    Epoch,
    /// Milliseconds since 1970.
    EpochMs,
}

/// Where pairings are. The paths of one are below `each`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TemplatePairings")]
pub struct PairingsExtract {
    /// Every smartcard.
    pub each: String,
    /// Its number; absent: the request's.
    #[serde(default)]
    pub smartcard: Option<String>,
    /// The boxes.
    pub stbs: String,
}

/// Where devices are. The paths of one are below `each`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TemplateDevices")]
pub struct DevicesExtract {
    /// Every device.
    pub each: String,
    /// Its serial number; empty: `each` itself.
    #[serde(default)]
    pub serial: String,
    /// Whether it may be used.
    #[serde(default)]
    pub enabled: Option<TestTable>,
    /// The account it is under.
    #[serde(default)]
    pub account: Option<String>,
    /// What it is paired with.
    #[serde(default)]
    pub paired: Option<String>,
    /// What else is told, by a name of ours.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

/// Where an account's state is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "TemplateSubscriber")]
pub struct SubscriberExtract {
    /// Its number; absent: the request's.
    pub account: Option<String>,
    /// Its state.
    pub state: Option<String>,
    /// The devices under it.
    pub devices: Option<String>,
    /// The services it holds.
    pub services: Option<ServicesExtract>,
    /// What else is told, by a name of ours.
    pub attributes: BTreeMap<String, String>,
}

/// Where the proof of good credentials is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "TemplateAuthenticated")]
pub struct AuthenticatedExtract {
    /// The account they are of; absent: the request's.
    pub account: Option<String>,
    /// A token.
    pub token: Option<String>,
}
