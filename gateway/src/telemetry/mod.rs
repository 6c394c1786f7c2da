//! What the gateway tells about itself: [`logs`] for people and collectors, [`metrics`] for Prometheus.

pub mod logs;
pub mod metrics;
