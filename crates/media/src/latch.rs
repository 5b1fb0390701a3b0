//! From where packets are believed, and where ours go: symmetric RTP without RTP bleed (reliability.md A8).
//!
//! SDP says where the peer is. Behind a NAT that is wrong, so the source of its packets may be learned, but only
//! * during the first [`LEARN_TIME`] after offer and answer, and
//! * from the host that SDP names; or, when that host's address is a private one (so a NAT must be in between) or the
//!   signalling comes from there, from one source that sends an unbroken row of packets of one SSRC; or from anybody whose
//!   SRTP packets are authentic.
//!
//! Later only these are learned:
//! * as long as nobody at all was heard (a phone that joins muted), the host that SDP names and that of the signalling, as
//!   above;
//! * the SSRC and sequence that are already known, when the address they came from is quiet, from the same host (a NAT that
//!   binds anew); after an offer and answer that names the same address as before from any host;
//! * with SRTP the author of an authentic packet that is newer than all others, when the address before is quiet. A replay is
//!   not authentic;
//! * without SRTP another port of the host we exchange media with, on which a stream begins anew (a phone that restarts while
//!   its NAT binds anew), when the address before has been quiet for [`ANEW_QUIET`] and the new one alone has since sent an
//!   unbroken row. No SSRC shows that it is the peer. So who has the same host address, behind the same NAT for instance, and
//!   guesses our port could take over the leg of a phone that sends nothing at all, muted or in a long pause: until that
//!   phone speaks, for a packet from the address that was left shows that nothing moved, and is believed at once; and then
//!   nothing is taken to have begun anew in this session again. From another host it would take an offer and answer.
//!
//! Whom we send to is always whom we believe.

use std::net::{IpAddr, SocketAddr};

use base::{Duration, Timestamp};

/// How long after offer and answer a source may be learned.
pub(crate) const LEARN_TIME: Duration = Duration::from_secs(2);
/// Packets in a row that make a source behind a NAT credible.
const ROW: u8 = 10;
/// From so many in a row on, two foreign sources contradict each other and none is learned.
const RIVAL_ROW: u8 = 3;
/// Foreign sources watched at once.
const CANDIDATES: usize = 4;
/// How long the present source must be quiet before its known SSRC may move to another address.
const MOVE_QUIET: Duration = Duration::from_millis(200);
/// How long the present source must be quiet before another port of its host may begin a stream there.
pub(crate) const ANEW_QUIET: Duration = Duration::from_secs(1);
/// How far ahead the sequence of a moving stream may be.
const MOVE_AHEAD: u16 = 100;

/// What is known of a packet before its source is judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    pub(crate) source: SocketAddr,
    pub(crate) ssrc: u32,
    pub(crate) sequence: u16,
    /// SRTP proved that it comes from the peer, and that it is no replay.
    pub(crate) authentic: bool,
    /// SSRC and next sequence number of the stream heard so far.
    pub(crate) expected: Option<(u32, u16)>,
}

/// Where the peer is.
#[derive(Clone, Debug)]
pub(crate) struct Latch {
    signalled: SocketAddr,
    /// The host the signalling comes from.
    signalling: Option<IpAddr>,
    destination: SocketAddr,
    trust: Trust,
    learn_until: Timestamp,
    /// The signalled address did not change with the last offer and answer.
    same_as_before: bool,
    heard: Option<Timestamp>,
    anew: Anew,
    candidates: [Option<Candidate>; CANDIDATES],
}

/// Whether the peer has begun anew on another port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Anew {
    /// Not that we know.
    No,
    /// It left this address, which was believed for this reason.
    Left(SocketAddr, Trust),
    /// We thought so, but it was still where it had been: no more of that.
    NotAgain,
}

/// Why we believe the destination; a better reason replaces a worse one while learning is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Trust {
    /// Only SDP says so.
    Signalled,
    /// A foreign source behind a NAT.
    Row,
    /// Another port of the host in SDP.
    Host,
    /// SDP says so and packets come from there, or SRTP proved it.
    Proven,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    source: SocketAddr,
    ssrc: u32,
    next: u16,
    row: u8,
}

impl Latch {
    /// After the first offer and answer.
    pub(crate) fn new(now: Timestamp, signalled: SocketAddr, signalling: Option<IpAddr>) -> Self {
        let signalled = canonical(signalled);
        Self {
            signalled,
            signalling: signalling.map(|ip| ip.to_canonical()),
            destination: signalled,
            trust: Trust::Signalled,
            learn_until: now + LEARN_TIME,
            same_as_before: false,
            heard: None,
            anew: Anew::No,
            candidates: [None; CANDIDATES],
        }
    }

    /// After a further offer and answer.
    pub(crate) fn signal(&mut self, now: Timestamp, signalled: SocketAddr, signalling: Option<IpAddr>) {
        if canonical(signalled) != self.signalled {
            *self = Self::new(now, signalled, signalling);
            return;
        }
        self.signalling = signalling.map(|ip| ip.to_canonical());
        self.learn_until = now + LEARN_TIME;
        // When nobody was heard yet, there is nothing that could move: learning starts anew.
        self.same_as_before = self.heard.is_some();
        self.candidates = [None; CANDIDATES];
    }

    /// Where our RTP goes; `None` while there is no address one may send to.
    pub(crate) fn destination(&self) -> Option<SocketAddr> {
        is_sendable(self.destination).then_some(self.destination)
    }

    /// Where the peer's packets come from, while none from elsewhere could be learned of and those from there do come. A
    /// peer that is quiet may have moved: what it sends from elsewhere is still to be judged.
    pub(crate) fn settled(&self, now: Timestamp) -> Option<SocketAddr> {
        let comes = self.heard.is_some_and(|heard| now.since(heard) < MOVE_QUIET);
        let known = now >= self.learn_until && self.trust == Trust::Proven;
        self.destination().filter(|_| known && comes)
    }

    /// Whether the host at `ip` is the one we exchange media with.
    pub(crate) fn is_peer(&self, ip: IpAddr) -> bool {
        ip.to_canonical() == self.destination.ip()
    }

    /// Whether the destination is still the host that SDP named.
    pub(crate) fn is_at_signalled_host(&self) -> bool {
        self.destination.ip() == self.signalled.ip()
    }

    /// Whether the packet may be used. May learn its source.
    pub(crate) fn judge(&mut self, now: Timestamp, claim: Claim) -> bool {
        let source = canonical(claim.source);
        if source == self.signalled && self.trust < Trust::Proven {
            self.learn(source, Trust::Proven);
        }
        if let Anew::Left(left, trust) = self.anew
            && source == left
        {
            self.learn(left, trust);
            self.anew = Anew::NotAgain;
        }
        if source == self.destination {
            if self.is_quiet(now, ANEW_QUIET) {
                self.candidates = [None; CANDIDATES];
            }
            self.heard = Some(now);
            return true;
        }
        if self.begins_anew(now, &Claim { source, ..claim }) {
            // Of several, the first address is the one that no doubt led to.
            if self.anew == Anew::No {
                self.anew = Anew::Left(self.destination, self.trust);
            }
            // Not proven, so that no socket is bound to it: who is still at the first one must be heard.
            let trust = if self.is_at_signalled_host() { Trust::Host } else { Trust::Row };
            self.learn(source, trust);
            self.heard = Some(now);
            return true;
        }
        if let Some(trust) = self.reason_to_learn(now, Claim { source, ..claim }) {
            self.learn(source, trust);
            self.heard = Some(now);
            return true;
        }
        // The words of an authentic packet are the peer's, wherever it comes from; we only do not follow it (yet).
        claim.authentic
    }

    fn learn(&mut self, source: SocketAddr, trust: Trust) {
        self.destination = source;
        self.trust = trust;
        self.candidates = [None; CANDIDATES];
    }

    fn reason_to_learn(&mut self, now: Timestamp, claim: Claim) -> Option<Trust> {
        let in_time = now < self.learn_until;
        if self.may_move(now, &claim, in_time && self.same_as_before) {
            return Some(if claim.authentic { Trust::Proven } else { self.trust });
        }
        if !(in_time || self.heard.is_none()) || self.same_as_before {
            return None;
        }
        if claim.authentic {
            return (self.trust < Trust::Proven).then_some(Trust::Proven);
        }
        if claim.source.ip() == self.signalled.ip() {
            return (self.trust < Trust::Host).then_some(Trust::Host);
        }
        let host_known = self.signalling == Some(claim.source.ip());
        let credible = host_known || (in_time && is_private(self.signalled.ip()));
        (self.trust < Trust::Row && credible && self.has_a_row(&claim)).then_some(Trust::Row)
    }

    /// The stream we know goes on from another address, and the old address is quiet. Without SRTP only another port of the
    /// same host is believed to go on with it, unless `any_host` may.
    fn may_move(&self, now: Timestamp, claim: &Claim, any_host: bool) -> bool {
        if !self.is_quiet(now, MOVE_QUIET) {
            return false;
        }
        let (ahead, same_stream) = match claim.expected {
            Some((ssrc, next)) => (claim.sequence.wrapping_sub(next), ssrc == claim.ssrc),
            None => (0, false),
        };
        if claim.authentic {
            return !same_stream || ahead < u16::MAX / 2;
        }
        same_stream && ahead < MOVE_AHEAD && (any_host || claim.source.ip() == self.destination.ip())
    }

    /// A stream that is not authentic begins on another port of the host, where nothing came from the present one for long.
    fn begins_anew(&mut self, now: Timestamp, claim: &Claim) -> bool {
        let host = claim.source.ip() == self.destination.ip();
        let free = self.anew != Anew::NotAgain && self.is_quiet(now, ANEW_QUIET);
        !claim.authentic && host && free && self.has_a_row(claim)
    }

    /// Whether the present source was heard, and for so long has not been.
    fn is_quiet(&self, now: Timestamp, for_long: Duration) -> bool {
        self.heard.is_some_and(|heard| now.since(heard) >= for_long)
    }

    /// Counts packets in a row of each foreign source.
    fn has_a_row(&mut self, claim: &Claim) -> bool {
        let known = self.candidates.iter_mut().flatten().find(|candidate| candidate.source == claim.source);
        let row = match known {
            Some(candidate) => candidate.count(claim),
            None => {
                self.watch(claim);
                return false;
            }
        };
        let rivals = self.candidates.iter().flatten().filter(|candidate| candidate.row >= RIVAL_ROW).count();
        row >= ROW && rivals == 1
    }

    fn watch(&mut self, claim: &Claim) {
        let weakest = self.candidates.iter_mut().min_by_key(|slot| slot.map_or(0, |candidate| candidate.row));
        if let Some(slot) = weakest.filter(|slot| slot.is_none_or(|candidate| candidate.row < RIVAL_ROW)) {
            let next = claim.sequence.wrapping_add(1);
            *slot = Some(Candidate { source: claim.source, ssrc: claim.ssrc, next, row: 1 });
        }
    }
}

impl Candidate {
    fn count(&mut self, claim: &Claim) -> u8 {
        let follows = claim.ssrc == self.ssrc && claim.sequence == self.next;
        self.row = if follows { self.row.saturating_add(1) } else { 1 };
        (self.ssrc, self.next) = (claim.ssrc, claim.sequence.wrapping_add(1));
        self.row
    }
}

/// IPv4 in IPv6 clothing is IPv4.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Whether one may send media there at all (reliability.md A15 and promise 33; loopback and private addresses are the
/// business of the control side, which read the SDP).
pub(crate) fn is_sendable(address: SocketAddr) -> bool {
    let ip = address.ip();
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !broadcast
}

/// Whether the address means nothing outside its own network, so that its packets must come through a NAT.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [first, second, ..] = ip.octets();
            ip.is_private() || ip.is_link_local() || (first == 100 && second & 0xC0 == 64)
        }
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}
