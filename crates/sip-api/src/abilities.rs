//! What this server can do, as its messages say it: in answers to OPTIONS, in INVITE and its 2xx, and in refusals. Both
//! sides of the contract take it from here. Nothing stands in these lists that has no rules behind it: a peer that reads it
//! here will use it.

/// Methods a peer may use (RFC 3261 20.5). NOTIFY is none of them: nothing is subscribed to.
pub const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, REFER, SUBSCRIBE, SERVICE, REGISTER";

/// Extensions that may stand in `Require` (RFC 3261 20.37): session timers (RFC 4028), reliable provisional responses
/// (RFC 3262), a call that takes another one's place (RFC 3891), REFER without a subscription (RFC 4488), the history of
/// a call (RFC 7044), the path of a registration (RFC 3327).
pub const SUPPORTED: &str = "timer, 100rel, replaces, norefersub, histinfo, path";

/// Body types an INVITE may carry: session descriptions, and what C3P clients put in their first INVITE.
pub const ACCEPT: &str = "application/sdp, application/cccp+xml, application/ms-conf-invite+xml, \
                          application/resource-lists+xml, multipart/mixed, multipart/alternative, multipart/related";

/// Whether an extension is among [`SUPPORTED`].
pub fn is_supported(extension: &str) -> bool {
    SUPPORTED.split(", ").any(|known| known.eq_ignore_ascii_case(extension))
}
