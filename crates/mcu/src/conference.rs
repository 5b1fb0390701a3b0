//! The conference: its legs, and the commands that change them.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use base::{ConferenceId, Duration, LegId, Timestamp};
use mcu_api::{Background, ConferenceMedia, LegFailure, LegMedia, LegStatistics, McuEvent, MediaFilter, Prompt};
use media::{LegConfig, Port};
use mixer::{CodecFactory, HEARD_MAX, Sounds, SpeakerChoice, Sum};

use crate::announcement::Announcement;
use crate::attention::Attention;
use crate::leg::Leg;
use crate::leg_map::LegMap;
use crate::playlist::Playlist;
use crate::pools::Pools;
use crate::program::{Program, ProgramSet, Programs};
use crate::recorder::Recorder;
use crate::shared::SharedStreams;
use crate::whisper::Whispers;

/// Events that wait to be polled; a further one is dropped.
const EVENTS_MAX: usize = 4_096;

/// Events there is room for from the start, so that the tick seldom allocates.
const EVENTS_KEPT: usize = 64;

/// Ticks after which all packet times are at the same place again: packets are of one, two or three frames.
const BEAT_TICKS: u64 = 6;

/// Takes the packets that leave a conference. They are protected already.
pub trait PacketSink {
    /// Sends one packet from a leg's port.
    fn send(&mut self, leg: LegId, port: Port, to: SocketAddr, packet: &[u8]);

    /// Has memory fetched, by address and length in bytes, that the packet after the next one needs, where that can be done.
    fn fetch_ahead(&mut self, _memory: *const u8, _bytes: usize) {}
}

/// A part of a leg's memory: see [`Conference::memory_ahead`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryAhead {
    /// The leg itself.
    Leg,
    /// What it points to, which is read to find it.
    Buffers,
}

/// What identifies a leg's RTP stream to its peer. The numbers are random (RFC 3550 5.1).
#[derive(Clone, Debug)]
pub struct LegIdentity {
    /// The SSRC we send with.
    pub ssrc: u32,
    /// Sequence number of the first packet we send.
    pub first_sequence: u16,
    /// RTP timestamp of the first packet we send.
    pub first_timestamp: u32,
    /// Canonical name in our RTCP; it should say nothing about the person.
    pub cname: String,
}

/// The data plane of one conference.
///
/// Feed it packets as they come and commands in their order; call [`Conference::tick`] and then [`Conference::send`] once in
/// every 20 ms; after each call drain [`Conference::poll_event`]. It keeps no clock and opens no socket.
pub struct Conference {
    pub(crate) id: ConferenceId,
    pub(crate) settings: ConferenceMedia,
    pub(crate) sounds: Arc<Sounds>,
    /// In the order of arrival, but for the gaps that a removal fills with the last one.
    pub(crate) legs: Vec<Leg>,
    places: LegMap<usize>,
    /// Number of the tick that comes next. The first one differs, so that not all conferences send their packets of 40 and
    /// 60 ms at the same tick.
    pub(crate) tick: u64,
    /// Number of legs that take part at this tick.
    pub(crate) taking_part: usize,
    /// What somebody is to hear at this tick.
    pub(crate) wanted: ProgramSet,
    pub(crate) attention: Attention,
    pub(crate) choice: SpeakerChoice,
    pub(crate) announcement: Announcement,
    /// What those leave behind who were removed while they spoke: their voices dying away.
    pub(crate) farewells: Sum,
    pub(crate) programs: Programs,
    pub(crate) whispers: Whispers,
    pub(crate) shared: SharedStreams,
    pub(crate) pools: Pools,
    pub(crate) recorder: Option<Box<dyn Recorder>>,
    /// Voices are levelled by themselves.
    auto_gain: bool,
    /// Background is taken away while nothing is said.
    noise_gate: bool,
    /// Who speaks, as last reported, by number.
    pub(crate) speakers: Vec<LegId>,
    /// The packet being written.
    pub(crate) packet: Vec<u8>,
    events: VecDeque<McuEvent>,
}

impl Conference {
    /// A conference without legs. `codecs` and `sounds` are the process's own.
    pub fn new(
        id: ConferenceId,
        settings: ConferenceMedia,
        codecs: Arc<dyn CodecFactory>,
        sounds: Arc<Sounds>,
    ) -> Self {
        let beat = id.as_str().bytes().map(u64::from).sum::<u64>() % BEAT_TICKS;
        Self {
            id,
            settings,
            sounds,
            legs: Vec::new(),
            places: LegMap::default(),
            tick: beat,
            taking_part: 0,
            wanted: ProgramSet::default(),
            attention: Attention::new(),
            choice: SpeakerChoice::new(HEARD_MAX),
            announcement: Announcement::new(),
            farewells: Sum::new(),
            programs: Programs::new(),
            whispers: Whispers::default(),
            shared: SharedStreams::new(),
            pools: Pools::new(codecs),
            recorder: None,
            auto_gain: false,
            noise_gate: false,
            speakers: Vec::with_capacity(HEARD_MAX),
            packet: Vec::with_capacity(2_048),
            events: VecDeque::with_capacity(EVENTS_KEPT),
        }
    }

    /// Which conference it is.
    pub const fn id(&self) -> &ConferenceId {
        &self.id
    }

    /// Number of legs, connected or not.
    pub fn len(&self) -> usize {
        self.legs.len()
    }

    /// Whether there is no leg.
    pub fn is_empty(&self) -> bool {
        self.legs.is_empty()
    }

    /// The legs, in no particular order.
    pub fn legs(&self) -> impl Iterator<Item = LegId> {
        self.legs.iter().map(|leg| leg.id)
    }

    /// Lets the conference do something with pools that other conferences use too. Without that it has its own.
    pub fn with_pools<T>(&mut self, pools: &mut Pools, act: impl FnOnce(&mut Self) -> T) -> T {
        std::mem::swap(&mut self.pools, pools);
        let outcome = act(self);
        std::mem::swap(&mut self.pools, pools);
        outcome
    }

    /// Makes what the next ticks may need, between them, where the conference has its own pools: see [`Pools::prepare`].
    pub fn prepare(&mut self) {
        self.pools.prepare();
    }

    /// Changes the settings. Those of the jitter buffer and of media silence hold for legs added from now on.
    pub fn configure(&mut self, settings: ConferenceMedia) {
        self.settings = settings;
    }

    /// Levels by itself the voices of legs added from now on, or leaves them as loud as they are, which is the default.
    pub fn set_auto_gain(&mut self, on: bool) {
        self.auto_gain = on;
    }

    /// Takes the background of legs added from now on away while nothing is said on them, or lets it pass, which is the
    /// default.
    pub fn set_noise_gate(&mut self, on: bool) {
        self.noise_gate = on;
    }

    /// Records what everybody together says, from the next tick on, in place of what recorded it before, which ends `at`
    /// that time.
    pub fn start_recording(&mut self, at: Timestamp, recorder: Box<dyn Recorder>) {
        self.stop_recording(at);
        self.recorder = Some(recorder);
    }

    /// Ends the recording `at` that time, which ticks may not have reached yet.
    pub fn stop_recording(&mut self, at: Timestamp) {
        if let Some(mut recorder) = self.recorder.take() {
            recorder.end(at);
        }
    }

    /// Adds a leg; false when it is already there. It is silent until [`Conference::connect`].
    pub fn add_leg(&mut self, leg: LegId, identity: LegIdentity) -> bool {
        if self.places.contains_key(&leg) {
            return false;
        }
        let silence_ms = u64::from(self.settings.media_silence_ms);
        let media = media::Leg::new(LegConfig {
            ssrc: identity.ssrc,
            first_sequence: identity.first_sequence,
            first_timestamp: identity.first_timestamp,
            jitter_max: Duration::from_millis(u64::from(self.settings.jitter_delay_max_ms)),
            silence: (silence_ms > 0).then(|| Duration::from_millis(silence_ms)),
            cname: identity.cname,
        });
        self.places.insert(leg, self.legs.len());
        let mut added = Leg::new(leg, media);
        added.voice.set_auto_gain(self.auto_gain);
        added.voice.set_noise_gate(self.noise_gate);
        self.legs.push(added);
        true
    }

    /// Starts a leg's media, or changes it after a re-INVITE. A leg takes part from its first connection unless
    /// [`Conference::set_in_mix`] said otherwise. An unknown leg is ignored.
    ///
    /// # Errors
    /// [`LegFailure::BadKeys`] when the SRTP keys do not fit the profile; the leg stays as it was.
    pub fn connect(&mut self, now: Timestamp, leg: LegId, media: &LegMedia) -> Result<(), LegFailure> {
        self.pools.streams.expect(media);
        self.shared.make_room(self.legs.len());
        self.change(leg, |leg| leg.media.connect(now, media)).unwrap_or(Ok(()))
    }

    /// Says whether a leg takes part; if not, it hears prompts and music only and nobody hears it.
    pub fn set_in_mix(&mut self, leg: LegId, in_mix: bool) {
        self.change(leg, |leg| leg.in_mix = in_mix);
    }

    /// Sets the media filters of a leg: mute is ingress `Block`, deaf is egress `Block`.
    pub fn set_filters(&mut self, leg: LegId, ingress: MediaFilter, egress: MediaFilter) {
        self.change(leg, |leg| {
            (leg.ingress, leg.egress) = (ingress, egress);
            leg.media.set_muted(ingress == MediaFilter::Block);
        });
    }

    /// Makes a leg louder or quieter by so many decibels, -20 to 12: `ingress` as the others hear it, `egress` everything
    /// it hears. What those hear who have the same `egress` is encoded once for all of them.
    pub fn set_gain(&mut self, leg: LegId, ingress: i8, egress: i8) {
        self.change(leg, |leg| {
            leg.voice.set_gain(ingress);
            leg.listener.gain.set_db(egress);
        });
    }

    /// Plays a prompt to one leg, after those it is still being played. At most five wait; a further one is dropped, and
    /// so are all when the leg is put on hold.
    pub fn play_prompt(&mut self, leg: LegId, prompt: Prompt) {
        self.change(leg, |leg| leg.listener.prompts.play(prompt));
    }

    /// Says something to one leg, in place of what is being said to it. Answered by one
    /// [`McuEvent::AnnouncementEnded`], unless the leg goes first.
    pub fn announce(&mut self, leg: LegId, what: Arc<Playlist>) {
        if self.change(leg, |leg| leg.listener.player.play(what)) == Some(true) {
            self.report(McuEvent::AnnouncementEnded { leg, completed: false });
        }
    }

    /// Says something to all who take part but one, unless something is being said or played to all already.
    pub fn announce_to_all(&mut self, what: Arc<Playlist>, except: Option<LegId>) {
        if self.somebody_hears(except) {
            self.announcement.say(what, except);
        }
    }

    /// Breaks off what is being said to a leg.
    pub fn stop_announcement(&mut self, leg: LegId) {
        if self.change(leg, |leg| leg.listener.player.stop()) == Some(true) {
            self.report(McuEvent::AnnouncementEnded { leg, completed: false });
        }
    }

    /// Sets what a leg hears while it hears no mix: it is alone, or not in the mix. `file` is the sound of
    /// [`Background::File`]; until it is there, and where there is none, the leg hears nothing.
    pub fn set_background(&mut self, leg: LegId, background: &Background, file: Option<Arc<Playlist>>) {
        let backdrop = match (background, file) {
            (Background::Alone, _) => None,
            (Background::Music, _) => Some(Program::Music),
            (Background::Ringback, _) => Some(Program::Ringback),
            (Background::File(name), Some(file)) => Some(self.programs.file(name, file)),
            (Background::Silence, _) | (Background::File(_), None) => Some(Program::Silence),
        };
        self.change(leg, |leg| leg.backdrop = backdrop);
        self.forget_unheard_files();
    }

    /// Sets who hears a leg: all, or one leg alone. It goes over from the one to the other within two ticks.
    pub fn set_audience(&mut self, leg: LegId, only: Option<LegId>) {
        self.change(leg, |leg| leg.audience_next = only);
    }

    /// Takes a leg out, says goodbye to its peer by RTCP, and answers its final figures; `None` when there is no such
    /// leg. Its voice dies away within the next tick.
    pub fn remove_leg(&mut self, now: Timestamp, leg: LegId, out: &mut dyn PacketSink) -> Option<LegStatistics> {
        let place = self.places.remove(&leg)?;
        let mut gone = self.legs.swap_remove(place);
        if let Some(moved) = self.legs.get(place) {
            self.places.insert(moved.id, place);
        }
        if gone.takes_part() {
            self.play_tone(Prompt::Exit, None);
        }
        if let Some((to, port)) = gone.media.write_bye(now, &mut self.packet) {
            out.send(leg, port, to, &self.packet);
        }
        if let Some(farewell) = gone.voice.farewell().filter(|_| gone.audience.is_none()) {
            self.farewells.add(&farewell);
        }
        self.forget_unheard_files();
        Some(gone.media.statistics())
    }

    /// Names to `fetch` the memory, by address and length in bytes, that the next packet of a leg and the next tick use.
    ///
    /// After 20 ms it is in no cache of the processor any more. A worker has it fetched while the kernel is at work for
    /// another leg: first the leg itself, and once that is here, what it points to.
    pub fn memory_ahead(&self, leg: LegId, part: MemoryAhead, fetch: &mut impl FnMut(*const u8, usize)) {
        let Some(leg) = self.places.get(&leg).and_then(|&place| self.legs.get(place)) else { return };
        match part {
            MemoryAhead::Leg => fetch(std::ptr::from_ref(leg).cast(), size_of::<Leg>()),
            MemoryAhead::Buffers => {
                leg.media.memory_ahead(fetch);
                leg.voice.memory_ahead(fetch);
            }
        }
    }

    /// Takes a datagram that arrived on one of a leg's ports; it is decrypted in place. For an unknown leg it is dropped.
    pub fn handle_packet(&mut self, now: Timestamp, leg: LegId, port: Port, source: SocketAddr, packet: &mut [u8]) {
        let Some(&place) = self.places.get(&leg) else { return };
        let media = &mut self.legs[place].media;
        match port {
            Port::Rtp => media.handle_rtp(now, source, packet),
            Port::Rtcp => media.handle_rtcp(now, source, packet),
        }
    }

    /// The only peer a leg's RTP port need exchange packets with at present, if there is one: see
    /// [`media::Leg::settled_peer`].
    pub fn settled_peer(&self, now: Timestamp, leg: LegId) -> Option<SocketAddr> {
        self.legs[*self.places.get(&leg)?].media.settled_peer(now)
    }

    /// What was counted on a leg so far.
    pub fn statistics(&self, leg: LegId) -> Option<LegStatistics> {
        self.places.get(&leg).map(|&place| self.legs[place].media.statistics())
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<McuEvent> {
        self.events.pop_front()
    }

    pub(crate) fn report(&mut self, event: McuEvent) {
        if self.events.len() < EVENTS_MAX {
            self.events.push_back(event);
        }
    }

    /// Changes a leg, and plays the tone if that made it enter or leave.
    fn change<T>(&mut self, id: LegId, change: impl FnOnce(&mut Leg) -> T) -> Option<T> {
        let leg = &mut self.legs[*self.places.get(&id)?];
        let before = leg.takes_part();
        let outcome = change(leg);
        match (before, leg.takes_part()) {
            (false, true) => self.play_tone(Prompt::Entry, Some(id)),
            (true, false) => self.play_tone(Prompt::Exit, Some(id)),
            _ => {}
        }
        Some(outcome)
    }

    fn forget_unheard_files(&mut self) {
        let mut wanted = ProgramSet::default();
        for leg in &self.legs {
            wanted.add(leg.listener.needs());
            leg.backdrop.into_iter().for_each(|program| wanted.insert(program));
        }
        self.programs.keep_files(wanted);
    }

    /// Plays a tone to those who take part, but for the one it tells of.
    fn play_tone(&mut self, prompt: Prompt, about: Option<LegId>) {
        if self.settings.entry_exit_tones && self.somebody_hears(about) {
            self.announcement.play(prompt, about);
        }
    }

    fn somebody_hears(&self, except: Option<LegId>) -> bool {
        self.legs.iter().any(|leg| leg.takes_part() && Some(leg.id) != except)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conference_can_be_handed_to_a_worker() {
        fn is_send<T: Send>() {}
        is_send::<Conference>();
    }
}
