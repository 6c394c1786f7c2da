//! The steps by which an order is read and answered.

use std::time::Duration;

use bytes::Bytes;
use headgate_core::Now;
use headgate_core::adapter::{Done, FileAnswer, FileError, FileErrorKind};
use headgate_core::platform::Fault;

use super::super::wire::{ErrorEntry, FileName, TransactionNumber};
use super::ConaxPlatform;
use super::apply::Verdict;

/// Lines that mean nothing.
const NONSENSE: &[u8] = b"%%% 7a ERR_\r\nps000000.emm\r\n,,,\r\n";

/// One step: one call to the file server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// See what lies in `req`.
    Look,
    /// Read an order there.
    ReadOrder(FileName),
    /// Move a file.
    Move { from: String, to: String },
    /// Write a file.
    Write { path: String, contents: Bytes },
    /// Delete a file.
    Delete { path: String },
    /// Read `errors.txt`, to write it again with more in it.
    ReadErrors { append: Bytes },
}

impl ConaxPlatform {
    /// A step is done: what follows from it.
    pub(super) fn did(&mut self, now: Now, work: Work, done: Done) {
        let Done::File(result) = done else { return };
        match (work, result) {
            (Work::Look, Ok(FileAnswer::Names(names))) => {
                let mut names: Vec<FileName> = names.iter().filter_map(|name| FileName::parse(name)).collect();
                names.sort_unstable();
                self.passed_over.retain(|name| names.binary_search(name).is_ok());
                let fresh = names.into_iter().filter(|name| !self.passed_over.contains(name));
                let reads: Vec<Work> = fresh.map(Work::ReadOrder).filter(|read| !self.work.contains(read)).collect();
                self.work.extend(reads);
            }
            (Work::ReadOrder(name), Ok(FileAnswer::Contents(contents))) => self.order(now, name, &contents),
            (Work::Move { from: path, .. } | Work::Delete { path }, Ok(_)) => {
                // Answered: a file of the same name is another one from now on.
                let name = path.rsplit_once('/').and_then(|(_, name)| FileName::parse(name));
                self.passed_over.retain(|passed| Some(*passed) != name);
            }
            (Work::ReadErrors { append }, result) if !is_link(&result) => {
                let mut contents = match result {
                    Ok(FileAnswer::Contents(contents)) => contents.to_vec(),
                    _ => Vec::new(),
                };
                contents.extend_from_slice(&append);
                let path = self.site.settings.directories.errors_file.clone();
                self.work.push_front(Work::Write { path: path.clone(), contents: contents.into() });
                self.work.push_front(Work::Delete { path });
            }
            // The server is down, or the file is gone: the next look finds what is left to do.
            (
                work @ (Work::Move { .. } | Work::Write { .. } | Work::Delete { .. } | Work::ReadErrors { .. }),
                result,
            ) if is_link(&result) => {
                self.later.push((now.tick + self.site.settings.poll_interval, vec![work]));
            }
            (_, _) => {}
        }
    }

    /// Applies an order and plans its answer, with the fault that is next in the queue.
    fn order(&mut self, now: Now, name: FileName, contents: &[u8]) {
        let fault = self.faults.pop_front();
        let verdict = self.apply(name, contents, fault == Some(Fault::UnknownCard));
        self.passed_over.insert(name);
        if fault == Some(Fault::Silence) {
            return;
        }
        let directories = &self.site.settings.directories;
        let from = format!("{}/{name}", directories.req);
        let ok = format!("{}/{name}", directories.ok);
        let err = format!("{}/{name}", directories.err);
        let mut answer = Vec::new();
        if fault == Some(Fault::Garbage) {
            answer.push(Work::ReadErrors { append: Bytes::from_static(NONSENSE) });
        }
        let delay = fault.map_or(Duration::ZERO, Fault::delay);
        let half = fault == Some(Fault::HalfFrame);
        let next_look = now.tick + self.site.settings.poll_interval;
        match verdict {
            Verdict::Accepted => {
                let to = if fault == Some(Fault::WrongNumber) { self.wrong_name(name) } else { ok.clone() };
                answer.push(Work::Move { from, to });
            }
            Verdict::Told(status) => {
                let whole = Bytes::from(status.encode());
                let first = if half { whole.slice(..whole.len() / 2) } else { whole.clone() };
                let path = if fault == Some(Fault::WrongNumber) { self.wrong_name(name) } else { ok.clone() };
                answer.extend([Work::Write { path: path.clone(), contents: first }, Work::Delete { path: from }]);
                if half {
                    let rest = vec![Work::Delete { path: path.clone() }, Work::Write { path, contents: whole }];
                    self.later.push((next_look + delay, rest));
                }
            }
            Verdict::Refused(entry) => {
                let (first, rest) = explain(&entry, half);
                answer.extend([Work::ReadErrors { append: first }, Work::Move { from, to: err }]);
                if let Some(rest) = rest {
                    self.later.push((next_look + delay, vec![Work::ReadErrors { append: rest }]));
                }
            }
        }
        if fault == Some(Fault::DuplicateAnswer) {
            let again = Work::Write { path: ok, contents: Bytes::copy_from_slice(contents) };
            self.later.push((next_look + self.site.settings.longest_poll_interval * 4, vec![again]));
        }
        if delay.is_zero() {
            for work in answer.into_iter().rev() {
                self.work.push_front(work);
            }
        } else {
            self.later.push((now.tick + delay, answer));
        }
    }

    /// The name of an answer under a number that nobody used, most likely.
    fn wrong_name(&self, name: FileName) -> String {
        let number = (name.number.value() + TransactionNumber::MAX / 2) % TransactionNumber::MAX;
        let number = TransactionNumber::new(number).unwrap_or(name.number);
        format!("{}/{}", self.site.settings.directories.ok, FileName { number, ..name })
    }
}

fn is_link(result: &Result<FileAnswer, FileError>) -> bool {
    matches!(result, Err(error) if error.kind == FileErrorKind::Link)
}

/// The lines of a refusal; in two pieces if it comes in halves.
fn explain(entry: &ErrorEntry, half: bool) -> (Bytes, Option<Bytes>) {
    let lines = Bytes::from(entry.to_string());
    if !half {
        return (lines, None);
    }
    // Cut within the line number or the code, where it could be misread.
    let cut = lines.len().saturating_sub(3);
    (lines.slice(..cut), Some(lines.slice(cut..)))
}
