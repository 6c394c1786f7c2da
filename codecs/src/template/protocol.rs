//! What every protocol by templates gives to the registry in the same way.

use std::sync::Arc;

use headgate_core::Now;
use headgate_core::capabilities::CommandRules;
use headgate_core::command::CommandKind;
use headgate_core::platform::Platform;
use headgate_core::provider::Provider;
use headgate_core::request::Request;
use headgate_core::text::Secret;

use super::dissect::Described;
use super::platform::Words;
use super::speech::Local;
use super::{Context, Profile, ProfileTable, Signer, Speech, TemplateDialogue, TemplatePlatform};
use crate::dissect::Dissection;
use crate::http::{CallSettings, HttpAdapter, HttpPlatform};
use crate::registry::{EncodeError, Encoded, Opened, SettingsError, Stock};

/// What a protocol brings to its profile.
#[derive(Clone, Copy, Debug)]
pub struct TemplateProtocol {
    /// The profile that is used unless the settings bring another.
    pub shipped: &'static str,
    /// What its platform calls its troubles.
    pub words: Words,
    /// Where the profile's paths begin in a message's path.
    pub tail: fn(&str) -> &str,
    /// What fields mean, by their names.
    pub meanings: &'static [(&'static str, &'static str)],
}

/// A provider's settings, checked but for the profile.
pub struct Configured {
    /// The profile, in place of the shipped one.
    pub profile: Option<ProfileTable>,
    /// What placeholders can name.
    pub context: Context,
    /// What signs.
    pub signer: Arc<dyn Signer>,
    /// How calls are made.
    pub calls: CallSettings,
    /// A command that is answered without a call.
    pub local: Option<(CommandKind, CommandRules, Local)>,
}

impl TemplateProtocol {
    /// The gateway's side.
    ///
    /// # Errors
    /// [`SettingsError`] with the path of the first mistake, below `profile`.
    pub fn open(&self, configured: Configured, provider: &Provider, seed: u64) -> Result<Opened, SettingsError> {
        let calls = configured.calls.clone();
        let speech = Arc::new(self.speech(configured, provider)?);
        let dialogue = TemplateDialogue::new(Arc::clone(&speech));
        Ok(Opened { adapter: Box::new(HttpAdapter::new(dialogue, calls, seed)), rules: speech })
    }

    /// The platform's side.
    ///
    /// # Errors
    /// As [`TemplateProtocol::open`].
    pub fn platform(&self, configured: Configured, stock: &Stock) -> Result<Box<dyn Platform>, SettingsError> {
        let profile = self.profile(&configured)?;
        let Configured { context, signer, .. } = configured;
        Ok(Box::new(HttpPlatform::new(TemplatePlatform::new(profile, context, signer, self.words, stock))))
    }

    /// A message explained.
    ///
    /// # Errors
    /// As [`TemplateProtocol::open`].
    pub fn decode(&self, configured: &Configured, bytes: &[u8]) -> Result<Vec<Dissection>, SettingsError> {
        let profile = self.profile(configured)?;
        let described = Described { profile: &profile, tail: self.tail, meanings: self.meanings };
        Ok(vec![crate::http::dissect::dissect(bytes, &described)])
    }

    /// The first call that would carry a request. The session's place holds a word of ours.
    ///
    /// # Errors
    /// [`EncodeError`]: the settings can not be, or the platform's words can not say it.
    pub fn encode(
        &self,
        configured: Configured,
        provider: &Provider,
        now: Now,
        request: &Request,
    ) -> Result<Vec<Encoded>, EncodeError> {
        let speech = self.speech(configured, provider)?;
        let session = speech.profile.login.is_some().then(|| Secret::new("SESSION"));
        crate::http::encode(&mut TemplateDialogue::new(Arc::new(speech)), session.as_ref(), now, request)
    }

    /// The profile of the settings, or else the shipped one.
    ///
    /// # Errors
    /// As [`TemplateProtocol::open`].
    pub fn profile(&self, configured: &Configured) -> Result<Profile, SettingsError> {
        Profile::read(self.shipped, configured.profile.as_ref(), &configured.context, &*configured.signer)
    }

    fn speech(&self, configured: Configured, provider: &Provider) -> Result<Speech, SettingsError> {
        let profile = self.profile(&configured)?;
        let Configured { context, signer, local, .. } = configured;
        let speech = Speech::new(profile, provider, context, signer)?;
        Ok(match local {
            Some((command, rules, local)) => speech.answering(command, rules, local),
            None => speech,
        })
    }
}

/// Paths that are the profile's own.
#[must_use]
pub const fn whole_path(path: &str) -> &str {
    path
}
