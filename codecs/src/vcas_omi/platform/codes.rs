//! The simulated platform's result codes. The vendor's are not public: these are ours, and nothing in the adapter knows
//! them.

/// Done: the only code that is public \[S:FIM\].
pub(super) const DONE: i32 = 0;
/// The user or the password is wrong.
pub(super) const LOGIN_REFUSED: i32 = 1_001;
/// The session is not known.
pub(super) const NO_SESSION: i32 = 1_002;
/// What is added is there already.
pub(super) const EXISTS: i32 = 2_001;
/// No such device.
pub(super) const UNKNOWN_DEVICE: i32 = 2_002;
/// No such package.
pub(super) const UNKNOWN_PACKAGE: i32 = 2_003;
/// No such network.
pub(super) const UNKNOWN_NETWORK: i32 = 2_004;
/// No such domain.
pub(super) const UNKNOWN_DOMAIN: i32 = 2_005;
/// What is named is not there: an entitlement, a pair, a message, an entry of the catalogue.
pub(super) const NOT_THERE: i32 = 2_006;
/// A value that can not be.
pub(super) const BAD_VALUE: i32 = 2_007;
/// The domain holds as many devices as it may.
pub(super) const DOMAIN_FULL: i32 = 2_008;
/// A card or a box is paired with another.
pub(super) const PAIRED_OTHERWISE: i32 = 2_009;

/// The words for a code.
pub(super) const fn text(code: i32) -> &'static str {
    match code {
        DONE => "OK",
        LOGIN_REFUSED => "user name or password is wrong",
        NO_SESSION => "invalid session",
        EXISTS => "exists already",
        UNKNOWN_DEVICE => "unknown device",
        UNKNOWN_PACKAGE => "unknown package",
        UNKNOWN_NETWORK => "unknown network",
        UNKNOWN_DOMAIN => "unknown domain",
        NOT_THERE => "not there",
        BAD_VALUE => "value out of range",
        DOMAIN_FULL => "the domain is full",
        PAIRED_OTHERWISE => "paired with another",
        _ => "refused",
    }
}
