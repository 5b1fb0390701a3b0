//! Every bound of the server in one place.

use std::time::Duration;

/// The bounds of every queue, table and document. What happens when one is reached stands with each field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Conferences alive at once; a further one is refused with 503 and Retry-After.
    pub conferences: usize,
    /// Legs of one conference; a further join is refused with 486, `MaximumMeetingSizeExceeded` and a `Warning`.
    pub legs_per_conference: usize,
    /// Legs of the server; a further one is refused with 503 and Retry-After.
    pub legs: usize,
    /// Calls of one account that come in, whatever they are for, those among them whose media ports still drain
    /// ([`Limits::port_drain`]); a further one is answered 486 with Retry-After.
    pub calls_per_account: usize,
    /// The same of callers without proof of identity from one source address (IPv6: from one /64 network); a further one is
    /// answered 503 with Retry-After. Trusted trunks have no such bound.
    pub calls_per_source: usize,
    /// Those calls of an account that have no answer, or none that is acknowledged; a further one is answered 486 with
    /// Retry-After.
    pub unanswered_per_account: usize,
    /// The same from one source address; a further one is answered 503 with Retry-After.
    pub unanswered_per_source: usize,
    /// Dial-outs of one conference under way at once; a further `addUser` fails with `otherFailure`.
    pub dial_outs_per_conference: usize,
    /// Roster subscriptions of one conference; a further SUBSCRIBE is answered 503.
    pub subscriptions_per_conference: usize,
    /// Devices one user may have registered; a further one is refused with 403.
    pub bindings_per_user: usize,
    /// SIP transactions under way; a further request is answered 503 with Retry-After without state.
    pub transactions: usize,
    /// INVITEs of one source address that have no final response or no ACK yet, and so may hold ports; a further one is
    /// answered 503 with Retry-After. Trusted peers have no such bound.
    pub pending_invites_per_source: usize,
    /// How long an INVITE may go without a final response; then it is answered 408 and its call is cancelled. Longer
    /// than any ringing.
    pub invite_answer: Duration,
    /// Ended calls of response groups whose records the store has not confirmed, kept so that a crash does not lose them; for a
    /// further one the oldest is no longer made anew after a crash.
    pub unstored_group_calls: usize,
    /// SIP message size in bytes (head and body); a larger one is answered 513 or the connection is closed.
    pub sip_message: usize,
    /// C3P body size in bytes; a larger one is answered 413 (reliability.md A12).
    pub c3p_body: usize,
    /// SDP body size in bytes; a larger one is answered 413 (reliability.md A6).
    pub sdp_body: usize,
    /// Events waiting for the engine; the edge answers 503 when the queue is full.
    pub engine_queue: usize,
    /// Commands waiting for one media worker; the conference that overflows it is ended.
    pub worker_queue: usize,
    /// Events of one media worker waiting for the control side; while there is no room, it does no further command.
    pub worker_events: usize,
    /// Events of the media side on their way to the engine. When there is no room, the thread that collects them waits, the
    /// workers' own queues fill (`worker_events`), and then no worker does a further command (`worker_queue`).
    pub media_events: usize,
    /// How long the ports of a finished leg stay leased, receiving into the void (RFC 3264 8.3.1).
    pub port_drain: Duration,
    /// How long a dialled person may ring before the dial-out fails (c3p.md 8.3).
    pub dial_out_ring: Duration,
    /// How long a connected leg that is not on hold may bring neither RTP nor RTCP before it is ended; zero: for ever
    /// (reliability.md 26). One that has brought RTCP is ended after a minute at the latest.
    pub media_silence: Duration,
    /// Delay a jitter buffer may add, whatever the network does (ARCHITECTURE.md, invariant 4).
    pub jitter_delay: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            conferences: 10_000,
            legs_per_conference: 5_000,
            legs: 20_000,
            calls_per_account: 200,
            calls_per_source: 500,
            unanswered_per_account: 50,
            unanswered_per_source: 200,
            dial_outs_per_conference: 100,
            subscriptions_per_conference: 5_000,
            bindings_per_user: 10,
            transactions: 50_000,
            pending_invites_per_source: 500,
            invite_answer: Duration::from_secs(600),
            unstored_group_calls: 1_000,
            sip_message: 64 * 1024,
            c3p_body: 256 * 1024,
            sdp_body: 16 * 1024,
            engine_queue: 16_384,
            worker_queue: 16_384,
            worker_events: 4_096,
            media_events: 16_384,
            port_drain: Duration::from_secs(2),
            dial_out_ring: Duration::from_secs(60),
            media_silence: Duration::from_secs(300),
            jitter_delay: Duration::from_millis(120),
        }
    }
}
