//! The calls about subscriptions.

use headgate_core::subscription::{PostedAction, SubscriptionBody};
use serde_json::{Value, json};

use super::{Call, Description, prefer};
use crate::api::subscriptions::{ChangedView, PlatformsView, SubscriptionView, SubscriptionsQuery, SubscriptionsView};
use crate::config::Role;

impl Description {
    pub(super) fn subscriptions(&mut self) {
        let (parameters, listing) = (self.query::<SubscriptionsQuery>(), self.json::<SubscriptionsView>());
        self.call(Call {
            path: "/v1/subscriptions",
            method: "get",
            summary: "List subscriptions, by number",
            details: "",
            role: Some(Role::Viewer),
            parameters,
            body: None,
            answers: vec![(200, "One page.", listing)],
            problems: &[400],
        });
        let (body, changed) = (self.takes::<SubscriptionBody>(), self.json::<ChangedView>());
        self.call(Call {
            path: "/v1/subscriptions/{number}",
            method: "put",
            summary: "Say what a subscription should be",
            details: "The whole of it, as it should be from now on; the difference to what the platforms are believed to hold becomes requests. The same body again changes nothing.",
            role: Some(Role::Crm),
            parameters: vec![number(), prefer()],
            body: Some(body),
            answers: vec![
                (200, "What became of it.", changed.clone()),
                (201, "The same, of one that is new.", changed.clone()),
            ],
            problems: &[400, 404, 408, 413, 415, 422, 503],
        });
        let standing = self.json::<SubscriptionView>();
        self.call(Call {
            path: "/v1/subscriptions/{number}",
            method: "get",
            summary: "One subscription, beside what its platforms are believed to hold",
            details: "",
            role: Some(Role::Viewer),
            parameters: vec![number()],
            body: None,
            answers: vec![(200, "The subscription.", standing)],
            problems: &[404],
        });
        self.call(Call {
            path: "/v1/subscriptions/{number}",
            method: "delete",
            summary: "Forget a subscription that no platform holds anything of",
            details: "",
            role: Some(Role::Crm),
            parameters: vec![number()],
            body: None,
            answers: vec![(204, "It is forgotten.", json!({}))],
            problems: &[404, 409, 503],
        });
        let action = self.takes::<PostedAction>();
        let calls: [(_, _, _, _, &[u16]); 2] = [
            (
                "/v1/subscriptions/{number}/actions",
                "Tell what was done to a subscription",
                "Performed now, or on its day.",
                Some(action),
                &[400, 404, 408, 413, 415, 422, 503],
            ),
            (
                "/v1/subscriptions/{number}/reset",
                "Bring every platform in step, whatever its model",
                "",
                None,
                &[404, 503],
            ),
        ];
        for (path, summary, details, body, problems) in calls {
            self.call(Call {
                path,
                method: "post",
                summary,
                details,
                role: Some(Role::Crm),
                parameters: vec![number(), prefer()],
                body,
                answers: vec![(200, "What became of it.", changed.clone())],
                problems,
            });
        }
        let platforms = self.json::<PlatformsView>();
        self.call(Call {
            path: "/v1/subscriptions/{number}/platform",
            method: "get",
            summary: "Ask the platforms what they hold",
            details: "Sends queries through the queues and waits, 30 s unless Prefer says otherwise. What the platforms say is believed from now on.",
            role: Some(Role::Crm),
            parameters: vec![number(), prefer()],
            body: None,
            answers: vec![(200, "What they say.", platforms)],
            problems: &[404, 503],
        });
    }
}

fn number() -> Value {
    let schema = json!({ "type": "string" });
    let description = "The CRM's number of the subscription.";
    json!({ "name": "number", "in": "path", "required": true, "description": description, "schema": schema })
}
