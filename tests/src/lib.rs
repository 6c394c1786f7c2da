//! What the tests of the whole share: the simulation, the real servers, the gateway under test.

pub mod simulation;
