//! The conferences of one worker: commands, packets and ticks find their conference here.
//!
//! The boundary of each conference is here too: a panic inside one ends that one (ARCHITECTURE.md, invariant 7).

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use base::{ConferenceId, Duration, LegId, Timestamp};
use mcu::{Conference, LegIdentity, MemoryAhead, Pools, Port};
use mcu_api::{ConferenceMedia, LegFailure, McuCommand, McuEvent};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::legs::{LegPorts, Legs, Outbox};
use crate::ports::PortLease;
use crate::server::Order;
use crate::sys::{self, Inbox, Received};
use crate::worker::Setup;

/// Datagrams read from one socket before the others have their turn.
const DATAGRAMS_MAX: usize = 128;
/// At one look of so many, sockets are settled.
const SETTLED_AT: usize = 10;
/// At one look of so many, every half second, RTCP ports are read. A report comes once in seconds and is for nobody's ears,
/// and its delay here is known and left out of the round trip.
const REPORTS_AT: usize = 25;
/// A datagram that waited longer than a tick is one of several.
const WAITED_ALONE: Duration = Duration::from_millis(20);
/// The longest that a datagram can have waited to be read, unless the system's clock was set meanwhile.
const WAITED_MAX: Duration = Duration::from_secs(1);
/// Share of its time that a worker may spend in ticks before it takes no further leg.
const BUSY_MAX: f32 = 0.85;
/// Weight of one tick in that share.
const BUSY_WEIGHT: f32 = 1.0 / 64.0;

/// What a worker hosts.
pub(crate) struct Host {
    setup: Setup,
    conferences: Vec<Option<Box<Conference>>>,
    places: HashMap<ConferenceId, usize>,
    legs: Legs,
    /// The conferences have them in turn.
    pools: Pools,
    /// Ports that rest, in the order in which their rest ends.
    draining: VecDeque<(Timestamp, PortLease)>,
    rng: StdRng,
    /// How often the sockets were read, and when last, by the system's clock.
    looks: usize,
    looked: Duration,
    busy: f32,
}

impl Host {
    /// A host without conferences.
    pub(crate) fn new(setup: Setup) -> Self {
        let pools = Pools::new(Arc::clone(&setup.codecs));
        Self {
            setup,
            pools,
            looks: 0,
            looked: Duration::ZERO,
            conferences: Vec::new(),
            places: HashMap::new(),
            legs: Legs::default(),
            draining: VecDeque::new(),
            rng: StdRng::from_os_rng(),
            busy: 0.0,
        }
    }

    /// Whether there is nothing to tick.
    pub(crate) fn is_idle(&self) -> bool {
        self.places.is_empty()
    }

    /// The next command in the queue.
    pub(crate) fn next_command(&mut self) -> Option<Order> {
        self.setup.commands.pop().ok()
    }

    /// Does what a command says.
    pub(crate) fn apply(&mut self, now: Timestamp, order: Order) {
        let Order { command, at, sound, recorder } = order;
        match command {
            McuCommand::CreateConference { conference, media } => self.create(conference, media),
            McuCommand::EndConference { conference } => self.end(now, at, &conference),
            McuCommand::ReserveLeg { conference, leg } => self.reserve(&conference, leg),
            McuCommand::ConnectLeg { leg, media } => {
                if let Some(ports) = self.legs.get(leg) {
                    // The peer may be elsewhere from now on.
                    ports.settle(None);
                }
                let failed = self.change(leg, |conference| conference.connect(now, leg, &media).err()).flatten();
                if let Some(failure) = failed {
                    self.remove_leg(now, leg, Some(failure));
                }
            }
            McuCommand::SetInMix { leg, in_mix } => {
                self.change(leg, |conference| conference.set_in_mix(leg, in_mix));
            }
            McuCommand::SetFilters { leg, ingress, egress } => {
                self.change(leg, |conference| conference.set_filters(leg, ingress, egress));
            }
            McuCommand::SetGain { leg, ingress_db, egress_db } => {
                self.change(leg, |conference| conference.set_gain(leg, ingress_db, egress_db));
            }
            McuCommand::PlayPrompt { leg, prompt } => {
                self.change(leg, |conference| conference.play_prompt(leg, prompt));
            }
            McuCommand::Announce { leg, .. } => {
                self.change(leg, |conference| conference.announce(leg, sound.unwrap_or_default()));
            }
            McuCommand::AnnounceToAll { conference, except, .. } => {
                if let Some(&place) = self.places.get(&conference) {
                    let sound = sound.unwrap_or_default();
                    self.with(place, |conference, _| conference.announce_to_all(sound, except));
                }
            }
            McuCommand::StopAnnouncement { leg } => {
                self.change(leg, |conference| conference.stop_announcement(leg));
            }
            McuCommand::SetBackground { leg, background } => {
                self.change(leg, |conference| conference.set_background(leg, &background, sound));
            }
            McuCommand::SetAudience { leg, only } => {
                self.change(leg, |conference| conference.set_audience(leg, only));
            }
            McuCommand::StartRecording { conference, .. } => {
                if let (Some(&place), Some(recorder)) = (self.places.get(&conference), recorder) {
                    self.with(place, |conference, _| conference.start_recording(at, recorder));
                }
            }
            McuCommand::StopRecording { conference } => {
                if let Some(&place) = self.places.get(&conference) {
                    self.with(place, |conference, _| conference.stop_recording(at));
                }
            }
            McuCommand::RemoveLeg { leg } => self.remove_leg(now, leg, None),
        }
        self.count_hosted();
    }

    /// Reads what has arrived since the last look.
    ///
    /// Each socket is simply asked: nearly every one has a packet in every tick, and to be told by the kernel which have
    /// would cost more than to ask those few that have not.
    pub(crate) fn receive(&mut self, now: Timestamp, inbox: &mut Inbox) {
        let system = sys::system_time();
        let look = Look { now, system, previous: std::mem::replace(&mut self.looked, system) };
        self.looks = self.looks.wrapping_add(1);
        self.fetch_ahead(0, MemoryAhead::Leg);
        for place in 0..self.legs.places() {
            // While the kernel answers for this leg, the processor fetches what the packet needs, and the next leg.
            self.fetch_ahead(place, MemoryAhead::Buffers);
            self.fetch_ahead(place + 1, MemoryAhead::Leg);
            self.receive_from(look, place, Port::Rtp, inbox);
            if (self.looks + place).is_multiple_of(SETTLED_AT) {
                self.settle(now, place);
            }
            if (self.looks + place).is_multiple_of(REPORTS_AT) {
                self.receive_from(look, place, Port::Rtcp, inbox);
            }
        }
    }

    /// Makes what the next ticks may need, so that they need not.
    pub(crate) fn prepare(&mut self) {
        self.pools.prepare();
    }

    /// Does one tick of each conference: all make their sound first, then all send.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        self.pools.turn();
        let waited = self.pools.waited();
        for place in 0..self.conferences.len() {
            self.with(place, |conference, _| conference.tick(now));
        }
        // A conference that breaks takes the pools with it, and new ones count from zero.
        self.setup.shared.counters.listeners_waited.add(self.pools.waited().saturating_sub(waited));
        for place in 0..self.conferences.len() {
            self.with(place, |conference, outbox| conference.send(now, outbox));
            self.report_events(place);
        }
    }

    /// Follows how long ticks take.
    pub(crate) fn note_tick(&mut self, took: Duration, of: Duration) {
        self.set_busy(self.busy + (took.div_duration_f32(of) - self.busy) * BUSY_WEIGHT);
    }

    /// Nothing is hosted.
    pub(crate) fn note_idle(&mut self) {
        self.set_busy(0.0);
    }

    fn set_busy(&mut self, busy: f32) {
        self.busy = busy;
        self.setup.shared.counters.busy_per_mille_max.set((busy * 1_000.0) as u64);
    }

    /// Ends a conference whose commands were lost.
    pub(crate) fn fail_overflowed(&mut self) {
        for conference in self.setup.shared.take_overflowed() {
            match self.places.get(&conference) {
                Some(&place) => self.fail(place),
                None => self.report(McuEvent::ConferenceFailed { conference, legs: Vec::new() }),
            }
            self.count_hosted();
        }
    }

    /// Whether the control side is behind with our events; then no further command should be done.
    pub(crate) fn is_congested(&self) -> bool {
        self.setup.events.is_congested()
    }

    /// Lets the control side know what was reported.
    pub(crate) fn flush_events(&mut self) {
        self.setup.events.flush();
    }

    /// Ends everything.
    pub(crate) fn end_all(&mut self, now: Timestamp) {
        let conferences: Vec<_> = self.places.keys().cloned().collect();
        conferences.iter().for_each(|conference| self.end(now, now, conference));
        self.draining.clear();
        self.count_hosted();
    }

    /// Gives back the ports that have rested; answers when the next ones will have.
    pub(crate) fn drain(&mut self, now: Timestamp) -> Option<Timestamp> {
        while self.draining.front().is_some_and(|(until, _)| *until <= now) {
            self.draining.pop_front();
            self.setup.shared.counters.ports_draining.set(self.draining.len() as u64);
        }
        self.draining.front().map(|(until, _)| *until)
    }

    fn create(&mut self, id: ConferenceId, settings: ConferenceMedia) {
        if let Some(&place) = self.places.get(&id) {
            self.with(place, |conference, _| conference.configure(settings));
            return;
        }
        let (codecs, sounds) = (Arc::clone(&self.setup.codecs), Arc::clone(&self.setup.sounds));
        let mut conference = Box::new(Conference::new(id.clone(), settings, codecs, sounds));
        conference.set_auto_gain(self.setup.config.automatic_level);
        conference.set_noise_gate(self.setup.config.noise_gate);
        let place = self.conferences.iter().position(Option::is_none).unwrap_or(self.conferences.len());
        if place == self.conferences.len() {
            self.conferences.push(None);
        }
        self.conferences[place] = Some(conference);
        self.places.insert(id, place);
    }

    /// Ends a conference; its recording ends when that was ordered.
    fn end(&mut self, now: Timestamp, ordered: Timestamp, id: &ConferenceId) {
        let Some(&place) = self.places.get(id) else { return };
        self.with(place, |conference, _| conference.stop_recording(ordered));
        for leg in self.legs.of(place) {
            self.remove_leg(now, leg, None);
        }
        // It may have failed while its legs were taken out.
        if self.places.remove(id).is_some() {
            self.conferences[place] = None;
        }
    }

    fn reserve(&mut self, id: &ConferenceId, leg: LegId) {
        match self.try_reserve(id, leg) {
            Ok(Some(port)) => {
                let advertised = self.setup.config.advertised;
                let (rtp, rtcp) = (SocketAddr::new(advertised, port), SocketAddr::new(advertised, port + 1));
                self.report(McuEvent::LegReserved { leg, rtp, rtcp });
            }
            Ok(None) => {}
            Err(failure) => self.report(McuEvent::LegFailed { leg, failure }),
        }
    }

    /// Answers the even port; `None` when the conference failed just now and the leg with it.
    fn try_reserve(&mut self, id: &ConferenceId, leg: LegId) -> Result<Option<u16>, LegFailure> {
        let &conference = self.places.get(id).ok_or(LegFailure::NoConference)?;
        if self.busy > BUSY_MAX {
            return Err(LegFailure::Overload);
        }
        let found = self.setup.ports.lease();
        self.setup.shared.counters.ports_taken.add(found.taken);
        let lease = found.lease.ok_or(LegFailure::NoPort)?;
        let port = lease.port;
        self.legs.insert(LegPorts::new(leg, conference, lease));
        let identity = self.draw_identity();
        let added = self.with(conference, |conference, _| conference.add_leg(leg, identity));
        Ok(added.map(|_| port))
    }

    fn draw_identity(&mut self) -> LegIdentity {
        LegIdentity {
            ssrc: self.rng.random(),
            first_sequence: self.rng.random(),
            first_timestamp: self.rng.random(),
            // RFC 7022 4.2: 96 random bits, new for each leg.
            cname: format!("{:016x}{:08x}", self.rng.random::<u64>(), self.rng.random::<u32>()),
        }
    }

    /// Takes a leg out; with a `failure`, it is that what is reported.
    fn remove_leg(&mut self, now: Timestamp, leg: LegId, failure: Option<LegFailure>) {
        let Some(place) = self.legs.get(leg).map(|ports| ports.conference) else { return };
        let Some(statistics) = self.with(place, |conference, outbox| conference.remove_leg(now, leg, outbox)) else {
            // The conference fell with all its legs.
            return;
        };
        self.let_ports_rest(now, leg);
        self.report(match failure {
            Some(failure) => McuEvent::LegFailed { leg, failure },
            None => McuEvent::LegRemoved { leg, statistics: statistics.unwrap_or_default() },
        });
    }

    /// The sockets stay open, so that late packets meet neither a new leg nor a closed port; nobody reads them.
    fn let_ports_rest(&mut self, now: Timestamp, leg: LegId) {
        let Some(ports) = self.legs.remove(leg) else { return };
        self.draining.push_back((now + self.setup.config.limits.port_drain, ports.into_lease()));
        self.setup.shared.counters.ports_draining.set(self.draining.len() as u64);
    }

    /// Has the processor fetch a leg's memory.
    fn fetch_ahead(&self, place: usize, part: MemoryAhead) {
        let Some(ports) = self.legs.at(place) else { return };
        if let Some(conference) = self.conferences.get(ports.conference).and_then(Option::as_ref) {
            conference.memory_ahead(ports.leg, part, &mut sys::prefetch);
        }
    }

    fn receive_from(&mut self, look: Look, place: usize, port: Port, inbox: &mut Inbox) {
        for _ in 0..DATAGRAMS_MAX {
            // The leg may be gone: its conference fell while it took a packet.
            let Some(ports) = self.legs.at(place) else { return };
            let (leg, conference) = (ports.leg, ports.conference);
            let counters = &self.setup.shared.counters;
            let datagram = match inbox.receive(ports.socket(port)) {
                Received::Nothing => return,
                Received::TooLarge => {
                    counters.packets_received.add(1);
                    counters.packets_dropped.add(1);
                    continue;
                }
                Received::Datagram(datagram) => datagram,
            };
            counters.packets_received.add(1);
            let steady = port == Port::Rtp && datagram.arrived.is_some_and(|arrived| ports.is_steady(arrived));
            let alone = steady && look.has_just_come(datagram.arrived);
            let arrived = look.arrival(datagram.arrived);
            let taken = self.with(conference, |conference, _| {
                conference.handle_packet(arrived, leg, port, datagram.source, datagram.bytes);
            });
            if taken.is_none() {
                self.setup.shared.counters.packets_dropped.add(1);
            }
            if alone {
                return;
            }
        }
    }

    /// Binds a leg's socket to its peer while nothing from elsewhere would be used, or frees it.
    fn settle(&mut self, now: Timestamp, place: usize) {
        let Some(ports) = self.legs.at(place) else { return };
        let (leg, conference) = (ports.leg, ports.conference);
        let peer = self.with(conference, |conference, _| conference.settled_peer(now, leg)).flatten();
        if let Some(ports) = self.legs.at(place) {
            ports.settle(peer);
        }
    }

    fn change<T>(&mut self, leg: LegId, change: impl FnOnce(&mut Conference) -> T) -> Option<T> {
        let place = self.legs.get(leg)?.conference;
        self.with(place, |conference, _| change(conference))
    }

    /// Lets a conference do something. When it panics, it is ended and `None` is the answer.
    fn with<T>(&mut self, place: usize, act: impl FnOnce(&mut Conference, &mut Outbox<'_>) -> T) -> Option<T> {
        let conference = self.conferences.get_mut(place)?.as_mut()?;
        let mut outbox = Outbox { legs: &self.legs, counters: &self.setup.shared.counters };
        let act = || conference.with_pools(&mut self.pools, |conference| act(conference, &mut outbox));
        // What the panic left behind is not looked at again, so a broken invariant in it does no harm. The pools go with it.
        match catch_unwind(AssertUnwindSafe(act)) {
            Ok(outcome) => Some(outcome),
            Err(_) => {
                self.fail(place);
                None
            }
        }
    }

    /// Ends a conference that broke, with one event for all.
    fn fail(&mut self, place: usize) {
        let Some(conference) = self.conferences.get_mut(place).and_then(Option::take) else { return };
        let id = conference.id().clone();
        tracing::error!(conference = %id, "a conference failed and was ended");
        // What is broken may break once more while it is taken apart.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(conference)));
        self.places.remove(&id);
        let legs = self.legs.of(place);
        let now = self.setup.now();
        legs.iter().for_each(|&leg| self.let_ports_rest(now, leg));
        self.setup.shared.counters.conferences_failed.add(1);
        self.report(McuEvent::ConferenceFailed { conference: id, legs });
        self.count_hosted();
    }

    /// Takes over what a conference has to tell, which keeps it a while when there is no room.
    fn report_events(&mut self, place: usize) {
        while !self.is_congested()
            && let Some(event) = self.conferences[place].as_mut().and_then(|conference| conference.poll_event())
        {
            self.report(event);
        }
    }

    fn report(&mut self, event: McuEvent) {
        self.setup.events.report(event);
    }

    fn count_hosted(&self) {
        let counters = &self.setup.shared.counters;
        counters.conferences.set(self.places.len() as u64);
        counters.legs.set(self.legs.len() as u64);
    }
}

/// A moment by both clocks: the process's own, and the system's.
#[derive(Clone, Copy)]
struct Look {
    now: Timestamp,
    system: Duration,
    /// The look before, by the system's clock.
    previous: Duration,
}

impl Look {
    /// Whether a datagram came within the last tick; so it was not left over at the look before.
    fn has_just_come(self, arrived: Option<Duration>) -> bool {
        arrived.is_some_and(|at| at >= self.previous && self.system.saturating_sub(at) < WAITED_ALONE)
    }

    /// When a datagram arrived, on the process's clock.
    fn arrival(self, system: Option<Duration>) -> Timestamp {
        let waited = system.map_or(Duration::ZERO, |arrived| self.system.saturating_sub(arrived)).min(WAITED_MAX);
        Timestamp::ZERO + self.now.since(Timestamp::ZERO + waited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_are_told_on_the_process_clock() {
        let seconds = Duration::from_secs_f64;
        let look = Look { now: Timestamp::from_millis(7_000), system: seconds(1_000.0), previous: seconds(999.99) };
        let cases = [(None, 7_000), (Some(999.985), 6_985), (Some(1_000.5), 7_000), (Some(10.0), 6_000)];
        for (arrived, wanted) in cases {
            assert_eq!(look.arrival(arrived.map(seconds)), Timestamp::from_millis(wanted), "{arrived:?}");
        }
    }
}
