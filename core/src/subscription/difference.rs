//! How what a platform holds differs from what it should hold.

use jiff::Timestamp;
use serde::Serialize;

use super::{Held, Holder};
use crate::command::Subscriber;
use crate::text::{Serial, ServiceCode};

/// One difference between what should be held and what is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
#[serde(tag = "difference", rename_all = "snake_case")]
pub enum Difference {
    /// There should be an account.
    AccountMissing,
    /// There should be no account.
    AccountSuperfluous,
    /// The platform was not told all of what it should know of the subscriber.
    AccountOutdated,
    /// The device should be registered.
    DeviceMissing {
        /// Which.
        serial: Serial,
    },
    /// The device should not be registered.
    DeviceSuperfluous {
        /// Which.
        serial: Serial,
    },
    /// The box should work with the smartcard.
    PairingMissing {
        /// The smartcard.
        smartcard: Serial,
        /// The box.
        stb: Serial,
    },
    /// The box should not work with the smartcard.
    PairingSuperfluous {
        /// The smartcard.
        smartcard: Serial,
        /// The box.
        stb: Serial,
    },
    /// The service should be held.
    ServiceMissing {
        /// By whom.
        holder: Holder,
        /// Which.
        service: ServiceCode,
    },
    /// The service should not be held.
    ServiceSuperfluous {
        /// By whom.
        holder: Holder,
        /// Which.
        service: ServiceCode,
    },
    /// The service is held for another time.
    PeriodDiffers {
        /// By whom.
        holder: Holder,
        /// Which.
        service: ServiceCode,
        /// Until when it should be held.
        wanted: Option<Timestamp>,
        /// Until when it is held.
        held: Option<Timestamp>,
    },
    /// The service shows, and should be suspended.
    NotSuspended {
        /// By whom it is held.
        holder: Holder,
        /// Which.
        service: ServiceCode,
    },
    /// The service is suspended, and should show.
    StillSuspended {
        /// By whom it is held.
        holder: Holder,
        /// Which.
        service: ServiceCode,
    },
    /// The holder is suspended as a whole, and should not be.
    HolderSuspended {
        /// Which.
        holder: Holder,
    },
    /// A request about the account ended without an answer: nobody knows.
    AccountDoubtful,
    /// A request about the device ended without an answer: nobody knows.
    DeviceDoubtful {
        /// Which.
        serial: Serial,
    },
    /// A request about the smartcard's pairing ended without an answer: nobody knows.
    PairingDoubtful {
        /// The smartcard.
        smartcard: Serial,
    },
    /// A request about the service ended without an answer: nobody knows.
    ServiceDoubtful {
        /// By whom it may be held.
        holder: Holder,
        /// Which.
        service: ServiceCode,
    },
}

impl Held {
    /// How this, which should be held, differs from `found`, which is. Sorted; empty if it is the same for all that
    /// matters: a service that should be suspended may as well not be held, and see [`super::Grant::covers`].
    /// Whether devices are disabled is the business of utilities, and no difference.
    #[must_use]
    pub fn differences(&self, found: &Self, now: Timestamp) -> Vec<Difference> {
        let mut differences = Vec::new();
        self.account_differences(found, &mut differences);
        self.device_differences(found, &mut differences);
        self.pairing_differences(found, &mut differences);
        self.service_differences(found, now, &mut differences);
        differences.sort();
        differences.dedup();
        differences
    }

    fn account_differences(&self, found: &Self, differences: &mut Vec<Difference>) {
        differences.extend(match (&self.account, &found.account) {
            (Some(_), None) => Some(Difference::AccountMissing),
            (None, Some(_)) => Some(Difference::AccountSuperfluous),
            (Some(wanted), Some(found)) if !found.told.knows(&wanted.told) => Some(Difference::AccountOutdated),
            (Some(_), Some(found)) if found.doubtful => Some(Difference::AccountDoubtful),
            _ => None,
        });
    }

    fn device_differences(&self, found: &Self, differences: &mut Vec<Difference>) {
        for serial in self.devices.keys() {
            differences.extend(match found.devices.get(serial) {
                None => Some(Difference::DeviceMissing { serial: serial.clone() }),
                Some(found) if found.doubtful => Some(Difference::DeviceDoubtful { serial: serial.clone() }),
                Some(_) => None,
            });
        }
        let superfluous = found.devices.keys().filter(|serial| !self.devices.contains_key(*serial));
        differences.extend(superfluous.map(|serial| Difference::DeviceSuperfluous { serial: serial.clone() }));
    }

    fn pairing_differences(&self, found: &Self, differences: &mut Vec<Difference>) {
        let pairs = |held: &Self| {
            let pairs = held.pairings.iter().flat_map(|(card, paired)| {
                paired.stbs.iter().map(|stb| (card.clone(), stb.clone())).collect::<Vec<_>>()
            });
            pairs.collect::<std::collections::BTreeSet<_>>()
        };
        let (wanted, is) = (pairs(self), pairs(found));
        for (smartcard, stb) in wanted.difference(&is).cloned() {
            differences.push(Difference::PairingMissing { smartcard, stb });
        }
        for (smartcard, stb) in is.difference(&wanted).cloned() {
            differences.push(Difference::PairingSuperfluous { smartcard, stb });
        }
        let doubtful = found.pairings.iter().filter(|(_, paired)| paired.doubtful);
        differences.extend(doubtful.map(|(card, _)| Difference::PairingDoubtful { smartcard: card.clone() }));
    }

    fn service_differences(&self, found: &Self, now: Timestamp, differences: &mut Vec<Difference>) {
        for (holder, services) in &self.services {
            for (service, wanted) in services {
                let (holder, service) = (holder.clone(), service.clone());
                let paused = wanted.suspended || self.suspended.contains_key(&holder);
                let whole = found.suspended.get(&holder).is_some_and(|suspended| !suspended.doubtful);
                differences.extend(match found.grant(&holder, &service) {
                    None if paused => None,
                    Some(grant) if paused && (whole || grant.suspended && !grant.doubtful) => None,
                    None => Some(Difference::ServiceMissing { holder, service }),
                    Some(grant) if grant.doubtful => Some(Difference::ServiceDoubtful { holder, service }),
                    Some(_) if paused => Some(Difference::NotSuspended { holder, service }),
                    Some(grant) if grant.suspended => Some(Difference::StillSuspended { holder, service }),
                    Some(grant) if !grant.covers(wanted, now) => {
                        let (wanted, held) = (wanted.end, grant.end);
                        Some(Difference::PeriodDiffers { holder, service, wanted, held })
                    }
                    Some(_) => None,
                });
            }
        }
        for (holder, services) in &found.services {
            for service in services.keys().filter(|service| self.grant(holder, service).is_none()) {
                let (holder, service) = (holder.clone(), service.clone());
                differences.push(Difference::ServiceSuperfluous { holder, service });
            }
        }
        let suspended = found.suspended.keys().filter(|holder| !self.suspended.contains_key(holder));
        differences.extend(suspended.map(|holder| Difference::HolderSuspended { holder: holder.clone() }));
    }
}

impl Subscriber {
    /// Whether all that `wanted` says is known already: telling it again would change nothing.
    #[must_use]
    pub fn knows(&self, wanted: &Self) -> bool {
        let mut told = self.clone();
        told.update(wanted);
        told == *self
    }
}
