//! What one platform is believed to hold of one subscription, and whether that belief is good.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{DeviceKind, Held, Holder, ReadBack, Subscription};
use crate::body::RequestBody;
use crate::command::{Command, Devices, Entitlement, Selection, Services};
use crate::failure::{FailedPart, Failure, Sent};
use crate::outcome::Verdict;
use crate::text::{DistributorName, Serial, ServiceCode};

/// The authorised state of one subscription at one provider.
///
/// It changes only when a request ends ([`Authorised::apply`]) or the platform was asked ([`Authorised::adopt`]):
///
/// ```
/// use headgate_core::outcome::Verdict;
/// use headgate_core::subscription::{Authorised, Holder};
/// # use headgate_core::text::{Serial, ServiceCode};
///
/// let now = "2026-11-24T12:00:00Z".parse().unwrap();
/// let body: headgate_core::body::RequestBody = serde_json::from_str(
///     r#"{"provider":"conax","command":"activate_services","services":["SPORT"],"smartcard":"1"}"#).unwrap();
/// let mut authorised = Authorised::default();
/// authorised.apply(&body.command().unwrap(), &Verdict::Completed(None), now);
/// let card = Holder::Smartcard(Serial::new("1").unwrap());
/// assert!(authorised.held.shows(&card, &ServiceCode::new("SPORT").unwrap(), now));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct Authorised {
    /// What the platform is believed to hold.
    pub held: Held,
    /// When the platform last confirmed any of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<Timestamp>,
    /// Why the two may be out of step; absent: they are in step, as far as anybody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out_of_sync: Option<OutOfSync>,
}

/// Why a subscription is out of step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct OutOfSync {
    /// Since when.
    pub since: Timestamp,
    /// What happened last.
    #[serde(flatten)]
    pub reason: OutOfSyncReason,
}

/// What put a subscription out of step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum OutOfSyncReason {
    /// An action waits for the processing run, as the batch model wants it. No fault.
    AwaitsRun,
    /// The platform was down when something should have been sent.
    PlatformDown,
    /// A request could not be carried out.
    Failed {
        /// Its code.
        code: String,
    },
    /// The platform said no.
    Rejected {
        /// Its code.
        code: String,
    },
    /// A request was sent and nobody knows what became of it.
    Unknown,
    /// What the platform said it holds is not what was believed.
    ReadBackDiffers,
}

impl OutOfSyncReason {
    /// Its name, as in `platform_down`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::AwaitsRun => "awaits_run",
            Self::PlatformDown => "platform_down",
            Self::Failed { .. } => "failed",
            Self::Rejected { .. } => "rejected",
            Self::Unknown => "unknown",
            Self::ReadBackDiffers => "read_back_differs",
        }
    }
}

impl Authorised {
    /// Takes note of how a request for the subscription ended, for good.
    ///
    /// Completed: the platform holds what the command made. Rejected: nothing changed, but for the parts that the
    /// platform did carry out. Failed after it was sent: it may hold either ([`Held::doubt`]).
    pub fn apply(&mut self, command: &Command, verdict: &Verdict, at: Timestamp) {
        if command.kind().is_query() {
            // Nothing was to change; what a query tells is for [`Authorised::adopt`].
            return;
        }
        match verdict {
            Verdict::Completed(_) => {
                self.held.apply(command);
                self.confirmed_at = Some(at);
            }
            Verdict::Rejected(failure) => {
                if !failure.parts.is_empty() {
                    self.held.apply(&without(command, &failure.parts));
                }
                self.mark(OutOfSyncReason::Rejected { code: failure.code.to_string() }, at);
            }
            Verdict::Failed(Failure { sent: Sent::No, code, .. }) => {
                self.mark(OutOfSyncReason::Failed { code: code.to_string() }, at);
            }
            Verdict::Failed(_) => {
                self.held.doubt(command);
                self.mark(OutOfSyncReason::Unknown, at);
            }
        }
    }

    /// The same for a request as it is stored. A body that can not be read changes nothing.
    pub fn apply_body(&mut self, body: &RequestBody, verdict: &Verdict, at: Timestamp) {
        if let Ok(command) = body.command() {
            self.apply(&command, verdict, at);
        }
    }

    /// Takes over what the platform said it holds; whatever was doubtful about that is certain now. If it is not what
    /// was believed, the subscription is marked.
    pub fn adopt(&mut self, read: &ReadBack, at: Timestamp) {
        if !self.held.differences(&read.held, at).is_empty() || !read.strangers.is_empty() {
            self.mark(OutOfSyncReason::ReadBackDiffers, at);
        }
        self.held = read.held.clone();
        self.confirmed_at = Some(at);
    }

    /// Marks the subscription as out of step. The time of the first mark stays, the reason is the last one.
    pub fn mark(&mut self, reason: OutOfSyncReason, at: Timestamp) {
        let since = self.out_of_sync.as_ref().map_or(at, |mark| mark.since);
        self.out_of_sync = Some(OutOfSync { since, reason });
    }

    /// Takes the mark away: nothing is left to send.
    pub fn settle(&mut self) {
        self.out_of_sync = None;
    }

    /// CRM.COM's flag: whether a service of a viewing point is switched on at the platform, by the account or by every
    /// smartcard there, or by every box.
    #[must_use]
    pub fn is_authorised(
        &self,
        subscription: &Subscription,
        distributor: &DistributorName,
        service: &ServiceCode,
        now: Timestamp,
    ) -> bool {
        let on = |kind: &DeviceKind| {
            let mut devices = subscription.devices_at(distributor, kind).peekable();
            let any = devices.peek().is_some();
            let all = devices.all(|device| {
                let holder = Holder::device(&device.kind, &device.serial);
                holder.is_some_and(|holder| self.held.shows(&holder, service, now))
            });
            any && all
        };
        on(&DeviceKind::Smartcard) || on(&DeviceKind::Stb) || self.held.shows(&Holder::Account, service, now)
    }

    /// Whether a device is registered at the platform.
    #[must_use]
    pub fn is_registered(&self, serial: &Serial) -> bool {
        self.held.devices.get(serial).is_some_and(|registration| !registration.doubtful)
    }

    /// The same with secrets replaced by `***`, for showing to people.
    #[must_use]
    pub fn mask(mut self) -> Self {
        if let Some(account) = &mut self.held.account {
            account.told.mask();
        }
        self
    }
}

/// The command without the parts that failed.
fn without(command: &Command, parts: &[FailedPart]) -> Command {
    let done = |name: &str| !parts.iter().any(|failed| failed.part.as_str() == name);
    let devices = |devices: &Devices| Devices {
        smartcards: devices.smartcards.iter().filter(|serial| done(serial.as_str())).cloned().collect(),
        stbs: devices.stbs.iter().filter(|serial| done(serial.as_str())).cloned().collect(),
    };
    let services = |services: &[ServiceCode]| -> Vec<ServiceCode> {
        services.iter().filter(|code| done(code.as_str())).cloned().collect()
    };
    let entitlement = |entitlement: &Entitlement| Entitlement {
        services: services(&entitlement.services),
        devices: devices(&entitlement.devices),
        period: entitlement.period,
    };
    let selection = |selection: &Selection| Selection {
        services: match &selection.services {
            Services::All => Services::All,
            Services::These(codes) => Services::These(services(codes)),
        },
        devices: devices(&selection.devices),
    };
    // A command that is left without any device would mean the account; then none of it was done.
    let nothing = |before: &Devices| *before != Devices::default() && devices(before) == Devices::default();
    if command.devices().is_some_and(nothing) {
        return Command::TestConnection;
    }
    match command {
        Command::ActivateServices(e) => Command::ActivateServices(entitlement(e)),
        Command::SetServices(e) => Command::SetServices(entitlement(e)),
        Command::DeactivateServices(s) => Command::DeactivateServices(selection(s)),
        Command::Suspend(s) => Command::Suspend(selection(s)),
        Command::Resume(s) => Command::Resume(selection(s)),
        Command::AddDevice(d) => Command::AddDevice(devices(d)),
        Command::RemoveDevice(d) => Command::RemoveDevice(devices(d)),
        Command::EnableDevice(d) => Command::EnableDevice(devices(d)),
        Command::DisableDevice { devices: d, reason } => {
            Command::DisableDevice { devices: devices(d), reason: *reason }
        }
        Command::Unpair(d) => Command::Unpair(devices(d)),
        // A pairing or a swap has no parts that could stand alone.
        _ => Command::TestConnection,
    }
}
