//! The words a profile is written in: what a field means, and what a command does.

use serde::{Deserialize, Serialize};

/// What kind of value a field carries, whatever its width and padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// A number.
    Number,
    /// A text: a name, an identifier, words.
    Text,
    /// A calendar day.
    Date,
    /// Several values of other fields, again and again.
    List,
}

macro_rules! field_names {
    ($($variant:ident $kind:ident $doc:literal,)*) => {
        /// What a field of a layout means.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum FieldName {
            $(#[doc = $doc] $variant,)*
        }

        impl FieldName {
            /// What kind of value it carries.
            #[must_use]
            pub const fn value_kind(self) -> ValueKind {
                match self { $(Self::$variant => ValueKind::$kind,)* }
            }

            /// What it means, for people.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $doc,)* }
            }
        }
    };
}

field_names! {
    TransactionNumber Number "ties an answer to its request",
    CommandType Number "class of the command",
    SourceId Number "identifier of the sender",
    DestId Number "identifier of the receiver",
    MopPpid Number "MOP PPID; its meaning is not published",
    CreationDate Date "day the message was built",
    CommandNumber Number "what the message is",
    Card Text "smartcard number",
    Stb Text "set-top box number",
    Product Text "product id",
    Products List "several products",
    Stbs List "several set-top boxes",
    BeginDate Date "first day",
    EndDate Date "last day",
    Suspended Number "1: switched off for a while",
    Pin Text "PIN",
    Reason Number "why the card is disabled",
    Text Text "words for the screen",
    ShowDate Date "day it is shown; zeros: at once",
    Duration Number "how long it is shown, seconds",
    RepeatCount Number "how many times it is shown",
    RepeatInterval Number "how far apart, seconds",
    User Text "user of the session",
    Password Text "password of the session",
    AnsweredCommand Number "number of the command that is answered",
    Code Number "why it was refused",
    ErrorText Text "the platform's words",
    Reference Text "the platform's own number",
    Literal Text "always the same characters",
}

impl FieldName {
    /// Its name in a profile, as in `begin_date`.
    #[must_use]
    pub fn name(self) -> String {
        let mut name = String::with_capacity(20);
        for (index, c) in format!("{self:?}").chars().enumerate() {
            if c.is_ascii_uppercase() && index > 0 {
                name.push('_');
            }
            name.push(c.to_ascii_lowercase());
        }
        name
    }

    /// Whether its value must not be shown.
    #[must_use]
    pub const fn is_secret(self) -> bool {
        matches!(self, Self::Pin | Self::Password)
    }
}

macro_rules! command_names {
    ($($variant:ident $name:literal [$($required:ident)*] [$($optional:ident)*] answers [$($told:ident)*],)*) => {
        /// A command a profile can describe. Headgate's word, not the vendor's.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum CommandName {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl CommandName {
            /// Every command.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name in a profile.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Fields its body can not do without.
            pub(super) const fn required(self) -> &'static [FieldName] {
                match self { $(Self::$variant => &[$(FieldName::$required,)*],)* }
            }

            /// Fields its body may also have.
            pub(super) const fn optional(self) -> &'static [FieldName] {
                match self { $(Self::$variant => &[$(FieldName::$optional,)*],)* }
            }

            /// Fields its answer must have.
            pub(super) const fn answered_with(self) -> &'static [FieldName] {
                match self { $(Self::$variant => &[$(FieldName::$told,)*],)* }
            }
        }
    };
}

command_names! {
    AddProduct "add_product" [Card Product] [BeginDate EndDate] answers [],
    AddProducts "add_products" [Card Products] [BeginDate EndDate] answers [],
    ReplaceProducts "replace_products" [Card Products] [BeginDate EndDate] answers [],
    CancelProduct "cancel_product" [Card Product] [] answers [],
    CancelAll "cancel_all" [Card] [] answers [],
    SuspendProduct "suspend_product" [Card Product] [] answers [],
    SuspendAll "suspend_all" [Card] [] answers [],
    ReactivateProduct "reactivate_product" [Card Product] [] answers [],
    ReactivateAll "reactivate_all" [Card] [] answers [],
    Refresh "refresh" [Card] [] answers [],
    EnableCard "enable_card" [Card] [] answers [],
    DisableCard "disable_card" [Card] [Reason] answers [],
    Pair "pair" [Card Stb] [] answers [],
    Unpair "unpair" [Card] [] answers [],
    SetPin "set_pin" [Card Pin] [] answers [],
    ResetPin "reset_pin" [Card] [Pin] answers [],
    ClearPin "clear_pin" [Card] [] answers [],
    Mail "mail" [Card Text] [ShowDate] answers [],
    Bark "bark" [Card Text] [ShowDate Duration] answers [],
    RepeatingBark "repeating_bark" [Card Text] [ShowDate Duration RepeatCount RepeatInterval] answers [],
    Fingerprint "fingerprint" [Card] [Duration] answers [],
    HeldProducts "held_products" [Card] [] answers [Products],
    HeldPairing "held_pairing" [Card] [] answers [Stbs],
    ConnectionTest "connection_test" [] [] answers [],
    OpenSession "open_session" [User Password] [] answers [],
}

impl CommandName {
    /// The command of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|command| command.name() == name)
    }
}
