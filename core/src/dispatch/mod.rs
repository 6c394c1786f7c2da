//! What goes out next.

pub mod store;
