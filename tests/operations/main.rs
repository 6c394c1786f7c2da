//! The program as its operators run it: `headgate serve` as a process of its own, signals, its configuration changed
//! under it, its other subcommands beside it.

#![allow(missing_docs)]

mod access;
mod holding;
mod process;
mod programs;
mod reload;
mod stopping;
mod watching;
