//! What the API needs of the gateway behind it. [`Gateway`] is the one that is served; tests serve a double.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headgate_core::body::RequestBody;
use headgate_core::http::{HttpAnswer, HttpRequest};
use headgate_core::request::RequestId;
use headgate_core::text::{ProviderName, SubscriptionNumber};

use crate::config::ProviderState;
use crate::gateway::{AcceptError, Accepted, ActionError, CallError, Gateway, Origin, ProviderStatus, Resolution};
use crate::store::Store;
use crate::subscriptions::{Changed, Standing, SubscriptionError, Told, Wish};

/// A gateway, as the API sees it. Each method is the one of the same name of [`Gateway`].
pub trait Front: Clone + Send + Sync + 'static {
    /// See [`Gateway::accept`].
    fn accept(
        &self,
        body: RequestBody,
        raw: Bytes,
        origin: Origin,
    ) -> impl Future<Output = Result<Accepted, AcceptError>> + Send;

    /// See [`Gateway::cancel`].
    fn cancel(&self, id: RequestId) -> impl Future<Output = Result<(), ActionError>> + Send;

    /// See [`Gateway::retry`].
    fn retry(&self, id: RequestId) -> impl Future<Output = Result<(), ActionError>> + Send;

    /// See [`Gateway::resolve`].
    fn resolve(&self, id: RequestId, resolution: Resolution) -> impl Future<Output = Result<(), ActionError>> + Send;

    /// See [`Gateway::providers`].
    fn providers(&self) -> impl Future<Output = Vec<ProviderStatus>> + Send;

    /// See [`Gateway::set_state`].
    fn set_state(
        &self,
        name: &ProviderName,
        state: ProviderState,
    ) -> impl Future<Output = Result<(), ActionError>> + Send;

    /// See [`Gateway::call`].
    fn call(
        &self,
        name: &ProviderName,
        request: HttpRequest,
    ) -> impl Future<Output = Result<HttpAnswer, CallError>> + Send;

    /// See [`Gateway::change_subscription`].
    fn change_subscription(
        &self,
        number: &SubscriptionNumber,
        wish: &Wish,
    ) -> impl Future<Output = Result<Changed, SubscriptionError>> + Send;

    /// See [`Gateway::subscription`].
    fn subscription(
        &self,
        number: &SubscriptionNumber,
    ) -> impl Future<Output = Result<Standing, SubscriptionError>> + Send;

    /// See [`Gateway::forget_subscription`].
    fn forget_subscription(
        &self,
        number: &SubscriptionNumber,
    ) -> impl Future<Output = Result<(), SubscriptionError>> + Send;

    /// See [`Gateway::ask_platforms`].
    fn ask_platforms(
        &self,
        number: &SubscriptionNumber,
        wait: Duration,
    ) -> impl Future<Output = Result<Vec<Told>, SubscriptionError>> + Send;

    /// See [`Gateway::store`].
    fn store(&self) -> &Arc<dyn Store>;
}

impl Front for Gateway {
    async fn accept(&self, body: RequestBody, raw: Bytes, origin: Origin) -> Result<Accepted, AcceptError> {
        Self::accept(self, body, raw, origin).await
    }

    async fn cancel(&self, id: RequestId) -> Result<(), ActionError> {
        Self::cancel(self, id).await
    }

    async fn retry(&self, id: RequestId) -> Result<(), ActionError> {
        Self::retry(self, id).await
    }

    async fn resolve(&self, id: RequestId, resolution: Resolution) -> Result<(), ActionError> {
        Self::resolve(self, id, resolution).await
    }

    async fn providers(&self) -> Vec<ProviderStatus> {
        Self::providers(self).await
    }

    async fn set_state(&self, name: &ProviderName, state: ProviderState) -> Result<(), ActionError> {
        Self::set_state(self, name, state).await
    }

    async fn call(&self, name: &ProviderName, request: HttpRequest) -> Result<HttpAnswer, CallError> {
        Self::call(self, name, request).await
    }

    async fn change_subscription(
        &self,
        number: &SubscriptionNumber,
        wish: &Wish,
    ) -> Result<Changed, SubscriptionError> {
        Self::change_subscription(self, number, wish).await
    }

    async fn subscription(&self, number: &SubscriptionNumber) -> Result<Standing, SubscriptionError> {
        Self::subscription(self, number).await
    }

    async fn forget_subscription(&self, number: &SubscriptionNumber) -> Result<(), SubscriptionError> {
        Self::forget_subscription(self, number).await
    }

    async fn ask_platforms(&self, number: &SubscriptionNumber, wait: Duration) -> Result<Vec<Told>, SubscriptionError> {
        Self::ask_platforms(self, number, wait).await
    }

    fn store(&self) -> &Arc<dyn Store> {
        Self::store(self)
    }
}
