//! A million offers under random phones: none follows a diversion, none is a missed call, none is delivered twice.
//!
//! `cargo run --release -p response-group --example offers -- [OFFERS] [SEED]` prints the counts and fails unless all
//! faults are zero. The watch checks every input and output.
#![allow(clippy::print_stdout, reason = "it prints its figures")]

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../benches/note/mod.rs"]
mod note;

use std::collections::BTreeMap;

use base::{CallId, Duration};
use common::{World, order, sales};
use response_group::{DialogNo, Entry, Input, OfferNo, Output, Refusal};

/// A small generator of its own, so that a seed means the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}

/// What the phones still have to do.
#[derive(Default)]
struct Phones {
    ringing: Vec<OfferNo>,
    /// Told to stop, not closed.
    stopping: Vec<OfferNo>,
    up: BTreeMap<OfferNo, CallId>,
    /// Which call each offer is for, until that is over.
    calls: BTreeMap<OfferNo, CallId>,
    joining: Vec<CallId>,
    waiting: Vec<CallId>,
    /// Calls whose offer was diverted at some time, by the diverted offer.
    diverted: BTreeMap<OfferNo, CallId>,
}

#[derive(Default)]
struct Counts {
    offers: u64,
    diversions: u64,
    diversions_followed: u64,
    missed_notices: u64,
    double_deliveries: u64,
    late_answers: u64,
    connected: u64,
}

impl Phones {
    fn divert(&mut self, offer: OfferNo) {
        // Of a call that is over nothing can be followed any more.
        self.diverted.extend(self.calls.get(&offer).map(|call| (offer, *call)));
    }

    fn take_in(&mut self, world: &mut World, counts: &mut Counts) {
        let mut bridged: BTreeMap<CallId, u32> = BTreeMap::new();
        for output in std::mem::take(&mut world.last) {
            if let Some(order) = order(&output) {
                counts.offers += 1;
                self.ringing.push(order.offer);
                self.calls.insert(order.offer, order.call);
            }
            match output {
                Output::Withdraw { offer, .. } => {
                    self.ringing.retain(|other| *other != offer);
                    self.stopping.push(offer);
                }
                Output::AckBye { offer, .. } => {
                    self.up.remove(&offer);
                    self.stopping.retain(|other| *other != offer);
                    world.tell(Input::OfferDialogEnded { offer, dialog: DialogNo(1) });
                    self.take_in(world, counts);
                }
                Output::Bridge { call, offer, .. } => {
                    *bridged.entry(call).or_default() += 1;
                    counts.diversions_followed += u64::from(self.diverted.contains_key(&offer));
                    self.up.insert(offer, call);
                    self.joining.push(call);
                }
                Output::History(entry) => {
                    // By its name, so that a kind that is added to the machine is seen here.
                    let kind = format!("{:?}", entry.kind);
                    counts.missed_notices += u64::from(kind.contains("Miss"));
                }
                Output::Cdr(record) => {
                    self.waiting.retain(|call| *call != record.call);
                    self.joining.retain(|call| *call != record.call);
                    self.diverted.retain(|_, call| *call != record.call);
                    self.calls.retain(|_, call| *call != record.call);
                }
                _ => {}
            }
        }
        counts.double_deliveries += bridged.values().filter(|count| **count > 1).count() as u64;
    }
}

fn pick<T: Copy>(random: &mut Random, from: &mut Vec<T>) -> Option<T> {
    if from.is_empty() {
        return None;
    }
    let place = usize::try_from(random.below(from.len() as u64)).expect("it is small");
    Some(from.swap_remove(place))
}

/// One thing somebody does; `None` when there is nobody to do it.
fn act(world: &mut World, phones: &mut Phones, counts: &mut Counts, random: &mut Random) -> Option<Input> {
    match random.below(14) {
        0..=2 if phones.waiting.len() < 8 => {
            let call = world.call("sales");
            phones.waiting.push(call);
            None
        }
        3..=6 => {
            let offer = pick(random, &mut phones.ringing)?;
            match random.below(8) {
                0 => {
                    counts.diversions += 1;
                    phones.stopping.push(offer);
                    phones.divert(offer);
                    Some(Input::OfferDiverting { offer })
                }
                1 => {
                    counts.diversions += 1;
                    Some(Input::OfferRefused { offer, refusal: Refusal::Redirected })
                }
                2 => Some(Input::OfferRefused { offer, refusal: Refusal::Declined }),
                3 => Some(Input::OfferRefused { offer, refusal: Refusal::Busy }),
                4 => {
                    counts.diversions += 1;
                    phones.divert(offer);
                    Some(Input::OfferAnswered { offer, dialog: DialogNo(1), diverted: true })
                }
                _ => Some(Input::OfferAnswered { offer, dialog: DialogNo(1), diverted: false }),
            }
        }
        7 | 8 => {
            let offer = pick(random, &mut phones.stopping)?;
            if random.below(4) == 0 {
                counts.late_answers += 1;
                return Some(Input::OfferAnswered { offer, dialog: DialogNo(1), diverted: false });
            }
            Some(Input::OfferRefused { offer, refusal: Refusal::Cancelled })
        }
        9 | 10 => {
            let call = pick(random, &mut phones.joining)?;
            counts.connected += 1;
            Some(Input::Bridged { call, unconfirmed: false })
        }
        11 => phones.up.pop_first().map(|(offer, _)| Input::OfferDialogEnded { offer, dialog: DialogNo(1) }),
        12 => {
            let call = pick(random, &mut phones.waiting)?;
            Some(Input::CallerLeft { call })
        }
        _ => {
            let millis = random.below(3_000);
            wait(world, phones, counts, millis);
            None
        }
    }
}

fn wait(world: &mut World, phones: &mut Phones, counts: &mut Counts, millis: u64) {
    let end = world.now + Duration::from_millis(millis);
    while let Some(at) = world.domain.poll_timeout().filter(|at| *at <= end) {
        world.now = world.now.max(at);
        world.tell(Input::TimerFired);
        phones.take_in(world, counts);
    }
    world.now = end;
}

fn story(seed: u64, method: &str, wanted: u64, counts: &mut Counts) -> Vec<String> {
    let agents = ["a", "b", "c", "d", "e", "f"];
    let lines = format!("method = {method:?}\nalert_time_seconds = 10\n[response_group.queue]\ntimeout_seconds = 60");
    let mut world = World::new(sales(&lines, &agents));
    let mut phones = Phones::default();
    let mut random = Random(seed | 1);
    let end = counts.offers + wanted;
    while counts.offers < end {
        if let Some(input) = act(&mut world, &mut phones, counts, &mut random) {
            world.tell(input);
        }
        phones.take_in(&mut world, counts);
        // Only the invariants are of interest here; the story itself would fill the memory.
        world.log.clear();
        world.journal.retain(|entry| matches!(entry, Entry::Opened { .. }));
    }
    world.watch.faults
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter_map(|text| text.parse::<u64>().ok());
    let offers = arguments.next().unwrap_or(1_000_000);
    let seed = arguments.next().unwrap_or(20_260_101);
    let mut counts = Counts::default();
    let mut faults = Vec::new();
    // Stories of bounded length keep the watch's memory small.
    let length = 10_000.min(offers);
    let mut number = 0_u64;
    while counts.offers < offers {
        let method = ["parallel", "serial", "longest-idle", "round-robin", "attendant"][number as usize % 5];
        faults.extend(story(seed.wrapping_add(number.wrapping_mul(7_919)), method, length, &mut counts));
        number += 1;
    }
    println!("offers {}, connected {}, late answers {}", counts.offers, counts.connected, counts.late_answers);
    println!("diversions {}, followed {}", counts.diversions, counts.diversions_followed);
    println!("missed-call notices {}, double deliveries {}", counts.missed_notices, counts.double_deliveries);
    println!("breaches of invariants {}", faults.len());
    for fault in faults.iter().take(10) {
        println!("  {fault}");
    }
    let wrong = counts.diversions_followed + counts.missed_notices + counts.double_deliveries;
    let remark = format!(
        "{} offers under random phones, {} of them diverted; {} breaches of invariants",
        counts.offers,
        counts.diversions,
        faults.len()
    );
    let name = "groups: diversions followed, missed calls told, calls delivered twice";
    note::note(name, (wrong + faults.len() as u64) as f64, "", 0.0, &remark);
    assert!(wrong == 0 && faults.is_empty(), "see the counts above");
}
