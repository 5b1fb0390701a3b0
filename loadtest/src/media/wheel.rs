//! The media thread: a wheel of twenty slots, one for each millisecond of a frame; every caller has his slot.
//!
//! In his slot a caller first reads what came for him, then sends. Deadlines are absolute: a thread that falls behind
//! catches up slot by slot, and each packet's lateness is counted, for a generator that is late measures itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::media::clips::Sound;
use crate::media::leg::{Leg, LegRecord, LegSetup};
use crate::media::losses::Losses;
use crate::statistics::{Histogram, Random};
use crate::sys::{Inbox, thread_cpu_seconds, wall_nanos};

/// Slots of the wheel.
const SLOTS: usize = 20;
/// The time of one slot.
const SLOT: Duration = Duration::from_millis(1);
/// Datagrams read for one caller in one slot, in batches of [`crate::sys::BATCH`]; more waits for his next.
const BATCHES_MAX: usize = 4;

/// What the thread is told.
pub enum Order {
    /// A caller's audio begins.
    Add(Box<LegSetup>),
    /// He sends something else from now on.
    Play(usize, Sound),
    /// He records, or stops it.
    Record(usize, bool),
    /// All figures start anew.
    BeginMeasuring,
    /// His audio ends; his record comes with the others at the end, unless another `Add` follows.
    Remove(usize),
}

/// Figures the thread keeps up to date for whoever looks.
#[derive(Debug, Default)]
pub struct Pulse {
    /// Packets sent.
    pub sent: AtomicU64,
    /// Packets received.
    pub received: AtomicU64,
    /// Packets the numbers say are lost.
    pub lost: AtomicU64,
}

/// What a thread leaves behind.
pub struct Harvest {
    /// One record for each caller that was ever added, and more for those that came again.
    pub legs: Vec<LegRecord>,
    /// How late packets were sent, in ms, since the measurement began.
    pub lateness: Histogram,
    /// When packets were lost, over the whole run.
    pub losses: Losses,
    /// The share of its time the thread has worked, 0 to 1, since the measurement began.
    pub busy: f64,
}

/// A running media thread.
pub struct Wheel {
    orders: Sender<Order>,
    /// Its figures.
    pub pulse: Arc<Pulse>,
    thread: JoinHandle<Harvest>,
}

impl Wheel {
    /// Starts a thread; the numbers of its streams come from `seed`.
    pub fn start(seed: u64) -> Result<Self, Failure> {
        let (orders, arrivals) = channel();
        let pulse = Arc::new(Pulse::default());
        let shared = pulse.clone();
        let thread = std::thread::Builder::new()
            .name("media".to_owned())
            .spawn(move || Turner::new(arrivals, shared, seed).run())?;
        Ok(Self { orders, pulse, thread })
    }

    /// Tells the thread something; it hears within a millisecond or two.
    pub fn order(&self, order: Order) {
        // A thread that is gone has been joined, or has panicked, which the join tells.
        let _ = self.orders.send(order);
    }

    /// Ends it and takes what it saw.
    pub fn stop(self) -> Result<Harvest, Failure> {
        drop(self.orders);
        self.thread.join().map_err(|_| Failure("a media thread panicked".to_owned()))
    }
}

struct Turner {
    orders: Receiver<Order>,
    pulse: Arc<Pulse>,
    random: Random,
    slots: [Vec<Leg>; SLOTS],
    /// Slot and place of each caller.
    places: std::collections::HashMap<usize, usize>,
    next_slot: usize,
    inbox: Inbox,
    packet: Vec<u8>,
    gone: Vec<LegRecord>,
    lateness: Histogram,
    losses: Losses,
    began: (Instant, f64),
}

impl Turner {
    fn new(orders: Receiver<Order>, pulse: Arc<Pulse>, seed: u64) -> Self {
        Self {
            orders,
            pulse,
            random: Random::new(seed),
            slots: [const { Vec::new() }; SLOTS],
            places: std::collections::HashMap::new(),
            next_slot: 0,
            inbox: Inbox::default(),
            packet: Vec::with_capacity(1_500),
            gone: Vec::new(),
            lateness: Histogram::new(0.25, 400),
            losses: Losses::default(),
            began: (Instant::now(), thread_cpu_seconds()),
        }
    }

    fn run(mut self) -> Harvest {
        let start = Instant::now();
        for turn in 0_u64.. {
            let deadline = start + SLOT * u32::try_from(turn).unwrap_or(u32::MAX);
            let now = Instant::now();
            if deadline > now {
                std::thread::sleep(deadline - now);
            }
            if !self.obey() {
                break;
            }
            self.work((turn % SLOTS as u64) as usize, deadline);
        }
        self.harvest()
    }

    /// Follows all orders that wait; false at the end.
    fn obey(&mut self) -> bool {
        loop {
            match self.orders.try_recv() {
                Ok(order) => self.follow(order),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn follow(&mut self, order: Order) {
        match order {
            Order::Add(setup) => {
                let caller = setup.caller;
                self.remove(caller);
                self.places.insert(caller, self.next_slot);
                self.slots[self.next_slot].push(Leg::new(*setup, self.random.next()));
                self.next_slot = (self.next_slot + 7) % SLOTS;
            }
            Order::Play(caller, sound) => self.change(caller, |leg| leg.play(sound)),
            Order::Record(caller, on) => self.change(caller, |leg| leg.set_recording(on)),
            Order::BeginMeasuring => {
                self.slots.iter_mut().flatten().for_each(Leg::begin_measuring);
                self.lateness = Histogram::new(0.25, 400);
                self.began = (Instant::now(), thread_cpu_seconds());
            }
            Order::Remove(caller) => self.remove(caller),
        }
    }

    fn change(&mut self, caller: usize, change: impl FnOnce(&mut Leg)) {
        let Some(slot) = self.places.get(&caller) else { return };
        if let Some(leg) = self.slots[*slot].iter_mut().find(|leg| leg.caller() == caller) {
            change(leg);
        }
    }

    fn remove(&mut self, caller: usize) {
        let Some(slot) = self.places.remove(&caller) else { return };
        if let Some(place) = self.slots[slot].iter().position(|leg| leg.caller() == caller) {
            let leg = self.slots[slot].swap_remove(place);
            self.gone.push(leg.finish());
        }
    }

    fn work(&mut self, slot: usize, deadline: Instant) {
        let (mut sent, mut received, mut lost) = (0, 0, 0_i64);
        let mut movers = Vec::new();
        for (place, leg) in self.slots[slot].iter_mut().enumerate() {
            if leg.waits() {
                continue;
            }
            let (before, last_at) = (leg.seen(), leg.last_at());
            read(leg, &mut self.inbox);
            let after = leg.seen();
            received += after.0 - before.0;
            let (now, missing) = (wall_nanos(), after.1 - before.1);
            if missing != 0 {
                lost += missing;
                self.losses.add(last_at, now, missing);
            }
            leg.send(now, &mut self.packet);
            sent += 1;
            self.lateness.add(Instant::now().saturating_duration_since(deadline).as_secs_f64() * 1_000.0);
            match leg.drift() {
                0 => {}
                slots => movers.push((place, slots)),
            }
        }
        // From the back, so that the places of the others hold.
        movers.into_iter().rev().for_each(|(place, slots)| self.shift(slot, place, slots));
        self.pulse.sent.fetch_add(sent, Ordering::Relaxed);
        self.pulse.received.fetch_add(received, Ordering::Relaxed);
        // Fewer when some came late: the sum wraps to what it should be.
        self.pulse.lost.fetch_add(lost.cast_unsigned(), Ordering::Relaxed);
    }

    /// Gives a leg whose clock is wrong another slot.
    fn shift(&mut self, slot: usize, place: usize, slots: isize) {
        let mut leg = self.slots[slot].swap_remove(place);
        let to = slot.wrapping_add_signed(slots + SLOTS as isize) % SLOTS;
        if slots > 0 {
            // The wheel comes to that slot before the frame is over.
            leg.wait();
        }
        self.places.insert(leg.caller(), to);
        self.slots[to].push(leg);
    }

    fn harvest(mut self) -> Harvest {
        let busy = (thread_cpu_seconds() - self.began.1) / self.began.0.elapsed().as_secs_f64().max(1e-3);
        let mut legs = self.gone;
        for mut leg in self.slots.into_iter().flatten() {
            read(&mut leg, &mut self.inbox);
            legs.push(leg.finish());
        }
        Harvest { legs, lateness: self.lateness, losses: self.losses, busy }
    }
}

fn read(leg: &mut Leg, inbox: &mut Inbox) {
    let now = wall_nanos();
    for _ in 0..BATCHES_MAX {
        let count = inbox.receive(leg.socket(), now);
        for at in 0..count {
            let (bytes, arrival) = inbox.datagram(at);
            leg.receive(bytes, arrival);
        }
        if count < crate::sys::BATCH {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;
    use crate::media::clips::Clips;
    use crate::plan::Codec;

    /// Two callers who send to each other: what one sent, the other has.
    #[test]
    fn two_callers_hear_each_other() -> Result<(), Failure> {
        let clips = Arc::new(Clips::encode(Codec::Pcmu)?);
        let sockets = [UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?];
        let addresses = [sockets[0].local_addr()?, sockets[1].local_addr()?];
        let wheel = Wheel::start(1)?;
        for (caller, socket) in sockets.into_iter().enumerate() {
            wheel.order(Order::Add(Box::new(LegSetup {
                caller,
                socket,
                placed_at: 0,
                remote: addresses[1 - caller],
                codec: Codec::Pcmu,
                payload_type: 0,
                level_id: Some(1),
                clips: clips.clone(),
                sound: Sound::Tone(caller),
                cipher: None,
                drift_ppm: 0.0,
            })));
            wheel.order(Order::Record(caller, true));
        }
        while wheel.pulse.received.load(Ordering::Relaxed) < 20 {
            std::thread::yield_now();
        }
        let harvest = wheel.stop()?;
        for leg in &harvest.legs {
            assert!(leg.received >= 5 && leg.lost == 0 && leg.foreign == 0, "{leg:?}");
            assert_eq!(leg.heard.len() as u64, leg.received);
            assert_eq!(leg.payloads.len() as u64, 160 * leg.received);
        }
        Ok(())
    }

    /// Clocks that are wrong by a slot a frame, so that they go round the whole wheel: 21 and 19 slots are a frame.
    #[test]
    fn wrong_clocks_send_earlier_or_later_than_the_wheel_turns() -> Result<(), Failure> {
        let clips = Arc::new(Clips::encode(Codec::Pcmu)?);
        let nobody = UdpSocket::bind("127.0.0.1:0")?;
        for (drift_ppm, slots) in [(0.0, 20), (50_000.0, 21), (-50_000.0, 19)] {
            let (_orders, arrivals) = channel();
            let mut turner = Turner::new(arrivals, Arc::new(Pulse::default()), 1);
            turner.follow(Order::Add(Box::new(LegSetup {
                caller: 5,
                socket: UdpSocket::bind("127.0.0.1:0")?,
                placed_at: 0,
                remote: nobody.local_addr()?,
                codec: Codec::Pcmu,
                payload_type: 0,
                level_id: None,
                clips: clips.clone(),
                sound: Sound::Silence,
                cipher: None,
                drift_ppm,
            })));
            let mut sent_at = Vec::new();
            for turn in 0..1_000 {
                let before = turner.pulse.sent.load(Ordering::Relaxed);
                turner.work(turn % SLOTS, Instant::now());
                if turner.pulse.sent.load(Ordering::Relaxed) > before {
                    sent_at.push(turn);
                }
            }
            assert!(sent_at.len() > 40 && sent_at.windows(2).all(|pair| pair[1] - pair[0] == slots), "{sent_at:?}");
        }
        Ok(())
    }
}
