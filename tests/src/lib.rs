//! What the tests of the whole share: the simulation, and sites (a gateway with simulated platforms on real
//! sockets and directories).

pub mod client;
pub mod simulation;
pub mod site;
