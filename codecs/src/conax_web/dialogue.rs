//! The conversation: the profile's, with what every Conax interface shares.

use std::sync::Arc;

use headgate_core::Now;
use headgate_core::adapter::Rules;
use headgate_core::body::Refusal;
use headgate_core::capabilities::Capabilities;
use headgate_core::command::Command;
use headgate_core::failure::Failure;
use headgate_core::http::{HttpAnswer, HttpCall};
use headgate_core::outcome::Verdict;
use headgate_core::provider::Provider;
use headgate_core::request::Request;
use headgate_core::text::{PlatformReference, Secret};
use uuid::Uuid;

use super::settings::{Site, check_services};
use crate::conax_card;
use crate::http::{Begun, Dialogue, End, LoginRules, OpenedSession, Step};
use crate::registry::SettingsError;
use crate::template::dialogue::Task;
use crate::template::{Speech, TemplateDialogue, Unsigned};
use crate::xml::{self, Element};

/// Most bytes of an answer in which the platform's number is looked for.
const LIMIT: usize = 4 << 20;

/// What may be asked of a provider: what the profile can say, of cards that can be.
pub struct ConaxWebRules {
    speech: Arc<Speech>,
    start_time: bool,
}

impl ConaxWebRules {
    /// By the settings of a site.
    ///
    /// # Errors
    /// A service whose id can not be.
    pub fn new(site: &Site, provider: &Provider) -> Result<Self, SettingsError> {
        check_services(provider)?;
        let speech = Speech::new(site.profile.clone(), provider, site.context.clone(), Arc::new(Unsigned))?;
        Ok(Self { speech: Arc::new(speech), start_time: site.settings.start_time.unwrap_or(true) })
    }
}

impl Rules for ConaxWebRules {
    fn capabilities(&self) -> &Capabilities {
        self.speech.capabilities()
    }

    fn check(&self, request: &Request) -> Result<(), Refusal> {
        let cards = request.command.devices().map(|devices| devices.smartcards.as_slice()).unwrap_or_default();
        if let Some(index) = cards.iter().position(|card| conax_card::as_sent(card.as_str()).is_none()) {
            return Err(Refusal::new(format!("smartcards/{index}"), "bad_number", conax_card::FORM));
        }
        if let Command::SendMessage { message, .. } = &request.command
            && message.start.is_some()
            && !self.start_time
        {
            let detail = "this provider shows messages at once: leave it out, or use not_before";
            return Err(Refusal::new("message/start", "superfluous_field", detail));
        }
        self.speech.check(request)
    }
}

/// How the platform is talked to.
pub struct ConaxWeb {
    rules: Arc<ConaxWebRules>,
    spoken: TemplateDialogue,
}

impl ConaxWeb {
    /// By these rules.
    #[must_use]
    pub fn new(rules: Arc<ConaxWebRules>) -> Self {
        Self { spoken: TemplateDialogue::new(Arc::clone(&rules.speech)), rules }
    }
}

impl Dialogue for ConaxWeb {
    type Session = Secret;
    type Task = Task;

    fn login_rules(&self) -> Option<LoginRules> {
        self.spoken.login_rules()
    }

    fn login(&mut self, now: Now, previous: Option<&Secret>) -> HttpCall {
        self.spoken.login(now, previous)
    }

    fn logged_in(&mut self, now: Now, answer: &HttpAnswer) -> Result<OpenedSession<Secret>, Failure> {
        self.spoken.logged_in(now, answer)
    }

    fn logout(&mut self, session: &Secret) -> Option<HttpCall> {
        self.spoken.logout(session)
    }

    fn keep_alive(&mut self, now: Now, session: &Secret) -> Option<HttpCall> {
        self.spoken.keep_alive(now, session)
    }

    fn is_alive(&mut self, answer: &HttpAnswer) -> bool {
        self.spoken.is_alive(answer)
    }

    fn begin(&mut self, now: Now, request: &Request) -> Result<Begun<Task>, Refusal> {
        self.rules.check(request)?;
        self.spoken.begin(now, request)
    }

    fn call(&mut self, now: Now, session: Option<&Secret>, task: &Task) -> Result<HttpCall, Failure> {
        self.spoken.call(now, session, task)
    }

    fn read(&mut self, now: Now, task: &mut Task, answer: &HttpAnswer) -> Step {
        match self.spoken.read(now, task, answer) {
            Step::End(End { verdict: verdict @ Verdict::Completed(_), reference: None }) => {
                Step::End(End { verdict, reference: number_in(answer) })
            }
            step => step,
        }
    }

    fn secrets<'a>(&'a self, session: Option<&'a Secret>) -> Vec<&'a str> {
        self.spoken.secrets(session)
    }

    fn confidential(&self, task: &Task, answer: Option<&HttpAnswer>) -> Vec<String> {
        self.spoken.confidential(task, answer)
    }
}

/// The platform's own number of a request: a UUID \[S:W4\]. The name of its element is not known, so it is the first
/// element that holds nothing but one.
fn number_in(answer: &HttpAnswer) -> Option<PlatformReference> {
    let root = xml::parse(&answer.body, LIMIT).ok()?;
    first_uuid(&root).and_then(|uuid| PlatformReference::new(uuid).ok())
}

fn first_uuid(element: &Element) -> Option<&str> {
    let text = element.text.trim();
    if element.children.is_empty() {
        return (text.len() == 36 && Uuid::try_parse(text).is_ok()).then_some(text);
    }
    element.children.iter().find_map(first_uuid)
}
