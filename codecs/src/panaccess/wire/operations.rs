//! The operations \[S1\]: each written down once, put into words by either binding.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::value::{Member, Misfit, Record, Wire};

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident $function:literal $stability:ident $effect:ident {
        $($parameter:ident = $wire:literal : $type:ty),* $(,)?
    })*) => {
        /// An operation with its parameters, without the session.
        #[derive(Clone, PartialEq, Eq)]
        #[allow(missing_docs, reason = "parameters are named as the platform names them")]
        pub enum Operation {
            $($(#[$doc])* $name { $($parameter: $type),* },)*
        }

        impl Operation {
            /// The functions' names in the JSON binding, in the order of this file.
            pub const FUNCTIONS: &'static [&'static str] = &[$($function),*];

            /// Its name in the JSON binding: without `cv`, the first letter small \[S3\].
            #[must_use]
            pub const fn function(&self) -> &'static str {
                match self { $(Self::$name { .. } => $function,)* }
            }

            /// Whether only the larger, unstable set of the SOAP binding has it.
            #[must_use]
            pub const fn is_unstable(&self) -> bool {
                match self { $(Self::$name { .. } => operations!(@$stability),)* }
            }

            /// Whether it changes nothing.
            #[must_use]
            pub const fn is_harmless(&self) -> bool {
                match self { $(Self::$name { .. } => operations!(@$effect),)* }
            }

            /// Its parameters in the platform's order; those left out are absent.
            #[must_use]
            pub fn parameters(&self) -> Vec<Member> {
                match self {
                    $(Self::$name { $($parameter),* } => vec![$(($wire.into(), $parameter.write())),*],)*
                }
            }

            /// Reads the parameters of a function; nothing: there is no such function here.
            ///
            /// # Errors
            /// [`Misfit`] with the name of the first parameter that does not fit.
            #[allow(unused_mut, unused_variables, reason = "some functions take no parameters")]
            pub fn read(function: &str, mut parameters: Record, zone: &TimeZone) -> Result<Option<Self>, Misfit> {
                Ok(Some(match function {
                    $($function => Self::$name { $($parameter: parameters.take($wire, zone)?),* },)*
                    _ => return Ok(None),
                }))
            }
        }
    };
    (@stable) => { false };
    (@unstable) => { true };
    (@reads) => { true };
    (@changes) => { false };
}

impl Operation {
    /// The cards of an operation that takes a block of them and is refused as a whole.
    pub const fn block(&mut self) -> Option<&mut Vec<String>> {
        match self {
            Self::AddProductToSmartcards { smartcards, .. }
            | Self::RemoveProductFromSmartcards { smartcards, .. }
            | Self::CleanSmartcards { smartcards }
            | Self::SendBulkOsm { smartcards, .. } => Some(smartcards),
            _ => None,
        }
    }
}

/// Whether the session is known.
pub const LOGGED_IN: Operation = Operation::LoggedIn {};

impl fmt::Debug for Operation {
    /// Subscriber data: only its name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.function())
    }
}

operations! {
    // ---- the session

    /// Whether the session is known.
    LoggedIn "loggedIn" stable reads {}
    /// Ends the session.
    Logout "logout" stable changes {}

    // ---- what cards hold

    /// Replaces all packages of a card, past products and subscribers. Deprecated by the vendor.
    SetSmartcardPackages "setSmartcardPackages" unstable changes {
        smartcard_id = "smartcardId": String,
        packages = "packages": Vec<i64>,
        hc_id = "hcId": Option<String>,
        activation_time = "activationTime": Option<Timestamp>,
        expiry_time = "expiryTime": Option<Timestamp>,
    }
    /// Makes a card hold exactly these products.
    SetSmartcardProducts "setSmartcardProducts" stable changes {
        sn = "sn": String,
        product_ids = "productIds": Vec<i64>,
        hc_id = "hcId": Option<String>,
        expiry_time = "expiryTime": Option<Timestamp>,
    }
    /// Sees to it that each card has the product with that expiry. Most cards: 100.
    AddProductToSmartcards "addProductToSmartcards" stable changes {
        smartcards = "smartcards": Vec<String>,
        product_id = "productId": i64,
        hc_id = "hcId": Option<String>,
        expiry_time = "expiryTime": Option<Timestamp>,
    }
    /// Removes all orders of a product from cards. Most cards: 100.
    RemoveProductFromSmartcards "removeProductFromSmartcards" stable changes {
        smartcards = "smartcards": Vec<String>,
        product_id = "productId": i64,
    }
    /// Removes all orders from cards. Most cards: 100.
    CleanSmartcards "cleanSmartcards" stable changes {
        smartcards = "smartcards": Vec<String>,
    }

    // ---- subscribers

    /// Makes a subscriber.
    AddSubscriber "addSubscriber" stable changes {
        subscriber = "subscriber": Record,
    }
    /// Changes a subscriber, but for its contacts and addresses.
    ChangeSubscriber "changeSubscriber" stable changes {
        subscriber = "subscriber": Record,
    }
    /// What is known of a subscriber.
    GetSubscriber "getSubscriber" stable reads {
        code = "code": String,
    }
    /// Whether there is such a subscriber.
    SubscriberExists "subscriberExists" stable reads {
        code = "code": String,
    }
    /// Takes a subscriber without cards away.
    DeleteSubscriber "deleteSubscriber" stable changes {
        code = "code": String,
    }
    /// The cards of a subscriber.
    GetSmartcardsOfSubscriber "getSmartcardsOfSubscriber" stable reads {
        code = "code": String,
    }
    /// Gives a subscriber's streaming licences back; seen at version 4.3 of the JSON binding only \[S3\].
    RemoveLicenseBlockFromSubscriber "removeLicenseBlockFromSubscriber" stable changes {
        code = "code": String,
    }

    // ---- cards

    /// Puts a card under a subscriber.
    AddSmartcardToSubscriber "addSmartcardToSubscriber" stable changes {
        smartcard_id = "smartcardId": String,
        code = "code": String,
    }
    /// Takes a card from its subscriber; what was kept of the card goes.
    RemoveSmartcardFromSubscriber "removeSmartcardFromSubscriber" stable changes {
        smartcard_id = "smartcardId": String,
    }
    /// Puts a card in another's place; all orders move.
    ReplaceSmartcardOfSubscriber "replaceSmartcardOfSubscriber" stable changes {
        subscriber_code = "subscriberCode": String,
        old_smartcard_id = "oldSmartcardId": String,
        new_smartcard_id = "newSmartcardId": String,
        allow_exchange = "allowExchange": bool,
    }
    /// Switches a card on.
    EnableSmartcard "enableSmartcard" stable changes {
        smartcard_id = "smartcardId": String,
    }
    /// Switches a card off.
    DisableSmartcard "disableSmartcard" stable changes {
        smartcard_id = "smartcardId": String,
    }
    /// Says that a card is broken; that switches it off too.
    MarkSmartcardAsDefect "markSmartcardAsDefect" stable changes {
        smartcard_id = "smartcardId": String,
    }
    /// Says that a card is not broken; that leaves it switched off.
    MarkSmartcardAsOk "markSmartcardAsOk" stable changes {
        smartcard_id = "smartcardId": String,
    }
    /// Ties a card to a legacy box.
    PairSmartcard "pairSmartcard" unstable changes {
        smartcard_id = "smartcardId": String,
        stb_id = "stbId": String,
    }
    /// Unties a card from a legacy box.
    UnpairSmartcard "unpairSmartcard" unstable changes {
        smartcard_id = "smartcardId": String,
        stb_id = "stbId": String,
    }
    /// Gives a card's PIN a value.
    ChangePinOfSmartcard "changePinOfSmartcard" stable changes {
        smartcard_id = "smartcardId": String,
        pin = "pin": i64,
    }
    /// Sends packages, keys and PIN again.
    RefreshSmartcard "refreshSmartcard" stable changes {
        smartcard_id = "smartcardId": String,
    }
    /// Gives the card's box a configuration: fingerprint, watermark, what it may do. -1: none.
    SetSmartcardConfigOfSmartcard "setSmartcardConfigOfSmartcard" stable changes {
        smartcard_id = "smartcardId": String,
        config_id = "configId": i64,
        protected = "protected": bool,
    }
    /// What is known of a card.
    GetSmartcardInfo "getSmartcardInfo" stable reads {
        smartcard_id = "smartcardId": String,
    }
    /// The packages a card holds.
    GetSmartcardPackages "getSmartcardPackages" unstable reads {
        smartcard_id = "smartcardId": String,
    }
    /// The orders that reach a card.
    GetOrdersOnSmartcard "getOrdersOnSmartcard" stable reads {
        smartcard_id = "smartcardId": String,
    }

    // ---- orders

    /// Orders a product for a subscriber, with free times.
    AddFlexibleOrderToSubscriber "addFlexibleOrderToSubscriber" stable changes {
        product_id = "productId": i64,
        subscriber_code = "subscriberCode": String,
        activation_time = "activationTime": Timestamp,
        expiry_time = "expiryTime": Timestamp,
        only_specified_smartcards = "onlySpecifiedSmartcards": bool,
        smartcards = "smartcards": Option<Vec<String>>,
        optional_packages = "optionalPackages": Option<Vec<i64>>,
    }
    /// Gives an order a later end; it can not be shortened.
    ExtendOrderOfSubscriber "extendOrderOfSubscriber" stable changes {
        order_id = "orderId": i64,
        subscriber_code = "subscriberCode": String,
        until = "until": Option<Timestamp>,
    }
    /// Ends an order, now where no time is given.
    TerminateOrderOfSubscriber "terminateOrderOfSubscriber" stable changes {
        order_id = "orderId": i64,
        subscriber_code = "subscriberCode": String,
        until = "until": Option<Timestamp>,
    }
    /// Switches an order off for a while.
    DisableOrderOfSubscriber "disableOrderOfSubscriber" stable changes {
        order_id = "orderId": i64,
        subscriber_code = "subscriberCode": String,
    }
    /// Switches an order on again; until a time at most 7 days ahead, if one is given.
    EnableOrderOfSubscriber "enableOrderOfSubscriber" stable changes {
        order_id = "orderId": i64,
        subscriber_code = "subscriberCode": String,
        until = "until": Option<Timestamp>,
    }
    /// Extends an order to one more card.
    AddSmartcardToOrder "addSmartcardToOrder" stable changes {
        subscriber_code = "subscriberCode": String,
        order_id = "orderId": i64,
        smartcard = "smartcard": String,
    }
    /// Takes a card out of an order.
    RemoveSmartcardFromOrder "removeSmartcardFromOrder" stable changes {
        subscriber_code = "subscriberCode": String,
        order_id = "orderId": i64,
        smartcard = "smartcard": String,
    }
    /// The orders of a subscriber.
    GetOrdersOfSubscriber "getOrdersOfSubscriber" stable reads {
        subscriber_code = "subscriberCode": String,
        include_expired_orders = "includeExpiredOrders": bool,
    }
    /// Orders an event.
    AddPpvOrderToSubscriber "addPpvOrderToSubscriber" unstable changes {
        ppv_id = "ppvId": i64,
        subscriber_code = "subscriberCode": String,
    }

    // ---- messages

    /// Shows a text to a card, a subscriber, a headcontrol, the holders of a package, or everybody.
    SendOsm "sendOsm" stable changes {
        target_type = "targetType": String,
        target_id = "targetId": Option<String>,
        delay = "delay": Option<i64>,
        text = "text": String,
        cycle_time = "cycleTime": Option<i64>,
        cycle_id = "cycleId": Option<i64>,
    }
    /// Shows a text to cards. Most cards: 100.
    SendBulkOsm "sendBulkOsm" stable changes {
        smartcards = "smartcards": Vec<String>,
        delay = "delay": Option<i64>,
        text = "text": String,
        cycle_time = "cycleTime": Option<i64>,
        cycle_id = "cycleId": Option<i64>,
    }

    // ---- reference and long work

    /// Every package.
    GetPackages "getPackages" stable reads {}
    /// What the radio side does for the session's last call.
    GetTasksOfLastCall "getTasksOfLastCall" stable reads {}
    /// Goes on with work in pieces.
    ContinueFragmentedTask "continueFragmentedTask" stable changes {
        id = "id": i64,
    }
    /// Takes a product away, in pieces. The name of its parameter is inferred \[I\].
    DeleteProduct "deleteProduct" stable changes {
        product_id = "productId": i64,
    }
}
