//! Texts on screens.

use headgate_core::Now;
use headgate_core::body::Refusal;
use headgate_core::command::{Audience, Devices, Message, MessageKind};
use headgate_core::request::Request;

use super::super::rules::Speech;
use super::super::settings::DelayUnit;
use super::super::task::{Part, Task};
use super::super::wire::Operation;
use super::{blocks, changes, step_by_step, text};

impl Speech {
    pub(super) fn message(
        &self,
        now: Now,
        request: &Request,
        devices: &Devices,
        message: &Message,
    ) -> Result<Task, Refusal> {
        let settings = self.settings();
        let later = message.start.map(|start| start.duration_since(now.wall).as_secs().max(0));
        let delay =
            later.filter(|seconds| *seconds > 0).zip(settings.message_delay).map(|(seconds, unit)| match unit {
                DelayUnit::Seconds => seconds,
                DelayUnit::Minutes => seconds.saturating_add(59) / 60,
            });
        let minutes = match message.kind {
            MessageKind::RepeatingBark { interval, .. } => i64::try_from(interval.as_secs() / 60).unwrap_or(i64::MAX),
            _ => 0,
        };
        let broad = matches!(message.audience, Audience::Region(_) | Audience::Everybody);
        let cycle = if broad { settings.broadcast_cycle } else { settings.message_cycle };
        let (cycle_time, cycle_id) = (Some(minutes), (minutes > 0).then_some(i64::from(cycle)));
        let text_of_message = message.text.clone();
        let (target_type, target_id) = match &message.audience {
            Audience::Devices => match devices.smartcards.as_slice() {
                [card] => ("osm_sn", Some(text(card))),
                _ => {
                    return Ok(changes(blocks(devices, |smartcards| Operation::SendBulkOsm {
                        smartcards,
                        delay,
                        text: text_of_message.clone(),
                        cycle_time,
                        cycle_id,
                    })));
                }
            },
            Audience::Subscriber => ("osm_sns", request.account_number().map(str::to_owned)),
            Audience::HoldersOf(service) => ("osm_pkg", Some(self.package(service)?.to_string())),
            Audience::Region(region) => ("osm_hc", Some(region.as_str().to_owned())),
            Audience::Everybody => ("osm_op", None),
        };
        let target_type = target_type.to_owned();
        let send = Operation::SendOsm { target_type, target_id, delay, text: text_of_message, cycle_time, cycle_id };
        Ok(step_by_step([Part::new(send)]))
    }
}
