//! The records that answers hold \[S1\]: of each, the members that Headgate uses.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::value::{Item, Misfit, Record, Value, Wire};

macro_rules! records {
    ($($(#[$doc:meta])* $name:ident $kind:literal in $list:literal {
        $($(#[$member_doc:meta])* $member:ident = $wire:literal : $type:ty,)*
    })*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name {
            $($(#[$member_doc])* pub $member: $type,)*
        }

        impl Wire for $name {
            fn write(&self) -> Value {
                let mut record = Record::new($kind);
                $(record.members.push(($wire.into(), self.$member.write()));)*
                Value::Record(record)
            }

            fn read(value: Value, zone: &TimeZone) -> Result<Self, Misfit> {
                let mut record = Record::read(value, zone)?;
                Ok(Self { $($member: record.take($wire, zone)?,)* })
            }
        }

        impl Item for $name {
            const LIST: &'static str = $list;
        }

        impl fmt::Debug for $name {
            /// Subscriber data: only what it is.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($kind)
            }
        }
    )*};
}

records! {
    /// A card's number and its check digit.
    CardNumber "Smartcard" in "Smartcards" {
        /// The number, 10 digits.
        sn = "sn": String,
        /// What the number ends with on the card.
        checksum = "checksum": Option<String>,
    }

    /// What the platform knows of a card.
    CardInfo "SmartcardInfo" in "SmartcardInfos" {
        /// The number.
        sn = "sn": String,
        /// The headcontrol it hears.
        hc_id = "hcId": Option<String>,
        /// Its PIN; leading zeros are dropped.
        pin = "pin": Option<i64>,
        /// The box it is paired with, as the platform names it.
        paired_box = "pairedBox": Option<String>,
        /// Whether it is switched off.
        disabled = "disabled": bool,
        /// Whether it is broken.
        defect = "defect": bool,
        /// The id of the box it is paired with, 16 hexadecimal digits.
        stb_id = "stbId": Option<String>,
        /// That box's serial number.
        stb_serial = "stbSerial": Option<String>,
    }

    /// An order, seen from a card.
    CardOrder "Order" in "Orders" {
        /// Its number.
        order_id = "orderId": i64,
        /// What is ordered.
        product_id = "productId": i64,
        /// Since when.
        activation_time = "activationTime": Option<Timestamp>,
        /// Until when.
        expiry_time = "expiryTime": Option<Timestamp>,
        /// Whether it is switched off for a while.
        disabled = "disabled": bool,
        /// The card, where it is for one.
        sn = "sn": Option<String>,
        /// Whose it is.
        subscriber_code = "subscriberCode": Option<String>,
    }

    /// An order, seen from its subscriber.
    SubscriberOrder "Subscription" in "Subscriptions" {
        /// Its number.
        order_id = "orderId": i64,
        /// Whose it is.
        subscriber_code = "subscriberCode": Option<String>,
        /// What is ordered.
        product_id = "productId": i64,
        /// Since when.
        activation_time = "activationTime": Option<Timestamp>,
        /// Until when.
        expiry_time = "expiryTime": Option<Timestamp>,
        /// The cards it is for.
        smartcards = "smartcards": Vec<String>,
        /// Whether its times are free.
        is_flexible_order = "isFlexibleOrder": Option<bool>,
        /// Whether it is switched off for a while.
        disabled = "disabled": bool,
    }

    /// A package: what a card holds in the end.
    Package "Package" in "Packages" {
        /// Its number.
        package_id = "packageId": i64,
        /// Its name.
        alias = "alias": Option<String>,
    }

    /// Work of the radio side.
    RadioTask "Task" in "Tasks" {
        /// Its number.
        task_id = "taskId": i64,
        /// How it stands; the numbers are not published.
        status = "status": i64,
        /// How it ended; the numbers are not published.
        return_code = "returnCode": Option<i64>,
        /// What it says about its end.
        message = "message": Option<String>,
    }

    /// Work that the caller must ask to be continued.
    FragmentedTask "FragmentedTask" in "FragmentedTasks" {
        /// Its number.
        fragmented_task_id = "fragmentedTaskId": i64,
        /// Whether it is done.
        finished = "finished": bool,
        /// How much there is to do.
        total_work = "totalWork": Option<i64>,
        /// How much is done.
        worked = "worked": Option<i64>,
    }
}
