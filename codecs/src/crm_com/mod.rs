//! CRM.COM V4's Web API, from outside: the calls of a CRM, not of a platform.
//!
//! [`pull`] fetches a Generic provider's pending requests from a CRM, has them carried out, and posts what became of
//! them. [`simulator`] plays such a CRM. [`envelope`] is what all of its calls share: parameters, identifiers, times, and
//! the form of answers. What a Generic provider's workers call at Headgate is in [`crate::generic_provider::crm_com`].

pub mod envelope;
pub mod pull;
pub mod simulator;

/// The call that fetches what is pending, below the Web API's address \[S:GP\].
pub const GET_PENDING: &str = "/provisioning/generic_provisioning_requests/get_pending";

/// The call that answers it \[S:GS\].
pub const SEND_RESPONSE: &str = "/provisioning/generic_provisioning_requests/send_response";

/// Most requests that a call asks for, or answers: the limit of `number_of_results` \[S:GP\]. How many a call may answer
/// is not published; the same here.
pub const MOST: usize = 50;

/// Requests that are older are not shown any more \[S:GP\].
pub const SHOWN_FOR: jiff::SignedDuration = jiff::SignedDuration::from_hours(7 * 24);
