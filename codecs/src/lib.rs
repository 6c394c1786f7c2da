//! The protocols Headgate speaks, one folder each.
//!
//! A protocol's folder holds `wire` (types and codec), `adapter` (commands to wire and back: the
//! session, the correlation), `platform` (the vendor's side, for simulations), `settings` (what an
//! operator can set) and `dissect` (a message explained field by field). [`registry`] lists them;
//! nothing else outside a protocol's folder names a vendor.
//!
//! Nothing here does I/O, reads a clock or panics on input.

#![cfg_attr(
    not(test),
    deny(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unreachable, clippy::unwrap_used)
)]

pub mod backoff;
pub mod conax_card;
pub mod conax_sms;
pub mod conax_web;
pub mod crm_com;
pub mod dissect;
pub mod exset_sms;
pub mod framing;
pub mod generic_provider;
pub mod http;
pub mod icareus;
pub mod memory_files;
pub mod memory_table;
pub mod nagra_medialive;
pub mod nagravision_cag;
pub mod nagravision_smsgw;
pub mod panaccess;
pub mod perception;
pub mod registry;
pub mod sql;
pub mod template;
#[cfg(test)]
mod test_support;
pub mod tucano;
pub mod vcas_omi;
pub mod xml;
