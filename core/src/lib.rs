//! The vendor-neutral half of Headgate: what a CRM may ask, what a platform may answer, and the
//! engine that decides what goes out next.
//!
//! Nothing here does I/O, reads a clock or draws a random number. Time is an argument ([`Now`]),
//! ids and seeds are arguments, and everything that has to happen outside is returned as data
//! ([`adapter::Effect`], [`dispatch::Output`]). The same inputs therefore always give the same
//! outputs: a run can be stored, replayed, fuzzed and simulated.
//!
//! Read in this order: [`command`] (what can be asked), [`request`] (who asked, when, how urgent),
//! [`outcome`] (how it ended), [`adapter`] (the contract with a protocol), [`dispatch`] (what goes
//! next), [`engine`] (both joined).
//!
//! Above single requests: [`subscription`] (what a CRM wants of a platform, and what the platform is believed to
//! hold), [`reconcile`] (the commands that close the difference), [`schedule`] and [`run`] (the same for many).

#![cfg_attr(
    not(test),
    deny(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unreachable, clippy::unwrap_used)
)]

pub mod adapter;
pub mod body;
pub mod capabilities;
pub mod command;
pub mod dispatch;
pub mod engine;
pub mod failure;
pub mod http;
pub mod outcome;
pub mod platform;
pub mod provider;
pub mod reconcile;
pub mod request;
pub mod run;
pub mod schedule;
pub mod subscription;
pub mod table;
pub mod text;
pub mod time;

pub use time::{Deadline, Now, Tick};
