//! An adapter that is watched: what is submitted to it can be compared with what is stored.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use headgate_core::Now;
use headgate_core::adapter::{Adapter, Input, Output, Submission};
use headgate_core::request::Request;

/// An adapter that tells of each submission.
pub struct Watched {
    adapter: Box<dyn Adapter>,
    submitted: Sender<Arc<Request>>,
}

impl Watched {
    /// Watches an adapter; what is submitted can be taken from the receiver.
    #[must_use]
    pub fn new(adapter: Box<dyn Adapter>) -> (Self, Receiver<Arc<Request>>) {
        let (submitted, receiver) = channel();
        (Self { adapter, submitted }, receiver)
    }
}

impl Adapter for Watched {
    fn capacity(&self) -> usize {
        self.adapter.capacity()
    }

    fn submit(&mut self, now: Now, submission: Submission) {
        // Nobody listens any more when the world ends: then nobody asks.
        let _ = self.submitted.send(Arc::clone(&submission.request));
        self.adapter.submit(now, submission);
    }

    fn handle_input(&mut self, now: Now, input: Input<'_>) {
        self.adapter.handle_input(now, input);
    }

    fn drain(&mut self, now: Now) {
        self.adapter.drain(now);
    }

    fn poll_output(&mut self) -> Output {
        self.adapter.poll_output()
    }
}
