//! Dial-in by telephone (requirement C26, c3p.md 7.2): a call to an access number is answered, asked for the number of a
//! conference, and moved into it.
//!
//! While he is asked the caller sits in a small conference of his own. When he has named one, a second leg asks its Focus
//! to be let in; if it says yes, his call is moved there by a re-INVITE to that leg's ports, and everything else, the PIN
//! included, is as for any other caller.

use std::collections::BTreeSet;

use base::{ConferenceId, ConferenceNumber, Duration, LegId, Termination, TerminationReason, Timestamp};
use call::{Body, Invitation};
use focus::{JoinMedia, Requester};
use mcu_api::{AloneAudio, Announcement, ConferenceMedia, Direction, McuCommand, Phrase, Spoken};
use sip_api::SipUri;

use crate::conference::leg::{Leg, LegKind, MediaLeg, MediaOrigin, user_agent};
use crate::conference::media_leg::SDP;
use crate::digits::key_in;
use crate::{Engine, Origin};

/// What the ids of the callers' own conferences begin with; no user's conference is called so.
const CONFERENCE: &str = "ATTENDANT";

/// Wrong numbers before the caller is sent away, as with PINs (c3p.md 7.2).
const TRIES: u8 = 3;

/// How long a caller may take from one key to the next, the announcement included.
const KEY_WAIT: Duration = Duration::from_secs(30);

/// The longest farewell.
const FAREWELL_WAIT: Duration = Duration::from_secs(15);

/// A telephone number that leads to the attendant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessNumber {
    /// E.164, `+` first.
    pub number: String,
    /// The language the attendant speaks there, a BCP 47 tag.
    pub language: String,
    /// Where it is, as scheduling clients show it.
    pub region: String,
}

impl AccessNumber {
    /// Whether a user part means this number: its digits, with or without the `+`; visual separators do not count
    /// (RFC 3966 3).
    fn is_meant(&self, user: &str) -> bool {
        let user = user.split(';').next().unwrap_or_default();
        let digits = user.strip_prefix('+').unwrap_or(user).chars().filter(|digit| !"-.()".contains(*digit));
        digits.eq(self.number.chars().skip(1))
    }
}

/// What a caller has keyed in so far.
#[derive(Debug)]
struct Dialogue {
    keys: String,
    tries_left: u8,
}

/// What comes of a wrong number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Again,
    Farewell,
}

impl Dialogue {
    fn new() -> Self {
        Self { keys: String::new(), tries_left: TRIES }
    }

    /// Takes a key; the number, once it is ended.
    fn press(&mut self, key: char) -> Option<String> {
        key_in(&mut self.keys, key, ConferenceNumber::LENGTH_MAX)
    }

    fn wrong(&mut self) -> Wrong {
        self.keys.clear();
        self.tries_left = self.tries_left.saturating_sub(1);
        if self.tries_left == 0 { Wrong::Farewell } else { Wrong::Again }
    }
}

/// A caller and the attendant.
#[derive(Debug)]
pub(crate) struct Attended {
    dialogue: Dialogue,
    language: String,
    requester: Requester,
    display_name: Option<String>,
    /// When something must have happened.
    due: Option<Timestamp>,
    /// He has been told that it is over.
    leaving: bool,
}

/// When which caller must have pressed a key. What is out of date is skipped.
#[derive(Debug, Default)]
pub(crate) struct AttendantTimers(BTreeSet<(Timestamp, LegId)>);

impl AttendantTimers {
    /// The next time.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.0.first().map(|(at, _)| *at)
    }
}

impl Engine {
    /// The access number a Request-URI means.
    pub(crate) fn access_number(&self, uri: &SipUri) -> Option<AccessNumber> {
        let user = uri.user.as_deref().filter(|_| self.config.is_own_host(&uri.host))?;
        self.config.access_numbers.iter().find(|access| access.is_meant(user)).cloned()
    }

    /// Somebody calls an access number. Anybody may, as he might call a conference by its number.
    pub(crate) fn call_attendant(&mut self, leg: LegId, access: AccessNumber, call: Box<Invitation>) {
        let Some(requester) = self.requester(&call) else { return self.challenge(leg) };
        if self.legs.len() >= self.config.limits.legs {
            return self.refuse_for_want_of_room(leg);
        }
        let (Requester::Authenticated(peer) | Requester::Unauthenticated(peer)) = &requester else {
            return self.reject(leg, 403);
        };
        let guesser = self.guesser(&call, &requester);
        if !self.pins.allows(self.now, &every_attendant(), &guesser) {
            return self.refuse_guessing(leg, every_attendant());
        }
        let id = format!("{CONFERENCE}{:08}", leg.0);
        let conference = ConferenceId::parse(&id).expect("letters and digits, at most 32");
        let media = ConferenceMedia { alone: AloneAudio::Silence, entry_exit_tones: false, ..self.config.media };
        self.mcu(McuCommand::CreateConference { conference: conference.clone(), media });
        let claimed = matches!(requester, Requester::Unauthenticated(_)).then(|| peer.clone());
        let (peer, address) = (peer.clone(), call.request.uri.user.clone());
        let (call_id, user_agent) = (Some(call.request.call_id().to_owned()), user_agent(&call));
        let trunk = self.trunk_of(&call);
        let attended = Attended {
            dialogue: Dialogue::new(),
            language: access.language,
            display_name: call.from.display_name.clone(),
            requester,
            due: None,
            leaving: false,
        };
        let media = MediaLeg {
            guesser: Some(guesser),
            attended: Some(Box::new(attended)),
            ..MediaLeg::new(MediaOrigin::Incoming(Some(call)))
        };
        let entry = Leg::new(conference, peer, LegKind::Media(Box::new(media)), self.now);
        self.legs.insert(leg, Leg { sip: Some(leg), claimed, address, call_id, user_agent, trunk, ..entry });
        self.reserve(leg);
    }

    /// The caller can hear us.
    pub(crate) fn greet(&mut self, leg: LegId) {
        self.tell(leg, &[Phrase::Welcome, Phrase::EnterConferenceNumber], KEY_WAIT);
    }

    /// A key of a caller who is with the attendant.
    pub(crate) fn on_attendant_key(&mut self, leg: LegId, key: char) {
        let Some(attended) = self.attended(leg).filter(|attended| !attended.leaving) else { return };
        let Some(entered) = attended.dialogue.press(key) else { return self.wait(leg, KEY_WAIT) };
        let number = ConferenceNumber::parse(&entered).ok();
        let conference = number.and_then(|number| self.directory.conference_of_number(&number).cloned());
        match conference.filter(|conference| self.activate(conference)) {
            Some(conference) => self.ask_focus(leg, conference),
            None => self.refuse_number(leg, true),
        }
    }

    /// Something must have happened by now.
    pub(crate) fn fire_attendant_timers(&mut self) {
        while self.attendants.next().is_some_and(|at| at <= self.now)
            && let Some((at, leg)) = self.attendants.0.pop_first()
        {
            match self.attended(leg).filter(|attended| attended.due == Some(at)).map(|attended| attended.leaving) {
                Some(true) => self.end_leg(leg, Termination::completed(TerminationReason::Departed)),
                Some(false) => self.refuse_number(leg, false),
                None => {}
            }
        }
    }

    /// An announcement is over; after the farewell nothing else follows.
    pub(crate) fn on_announcement_ended(&mut self, leg: LegId) {
        if self.attended(leg).is_some_and(|attended| attended.leaving) {
            self.end_leg(leg, Termination::completed(TerminationReason::Departed));
        }
    }

    /// A second leg asks the Focus of the conference he named. His own is put aside, so that whatever happens to his call
    /// from here on happens to the new leg.
    fn ask_focus(&mut self, leg: LegId, conference: ConferenceId) {
        let new = self.calls.allocate_leg();
        let Some(mut old) = self.legs.remove(&leg) else { return };
        let Some(media) = old.media() else { return };
        let (guesser, Some(attended)) = (media.guesser.clone(), &mut media.attended) else { return };
        attended.due = None;
        let (requester, display_name) = (attended.requester.clone(), attended.display_name.clone());
        let media = MediaLeg { guesser, ..MediaLeg::new(MediaOrigin::Incoming(None)) };
        let kind = LegKind::Media(Box::new(media));
        let mut entry = Leg {
            sip: old.sip,
            claimed: old.claimed.clone(),
            address: old.address.clone(),
            call_id: old.call_id.clone(),
            user_agent: old.user_agent.clone(),
            trunk: old.trunk.clone(),
            answered: old.connected,
            ..Leg::new(conference.clone(), old.peer.clone(), kind, old.since)
        };
        if let Some(media) = entry.media() {
            media.before = Some(Box::new((leg, old)));
        }
        self.legs.insert(new, entry);
        self.branches.insert(leg, new);
        let command = self.command_of(Origin::MediaJoin { leg: new });
        let join = JoinMedia { command, leg: new, requester, endpoint: None, display_name, pin: None };
        self.focus(&conference, focus::Input::JoinMedia(join));
    }

    /// The Focus does not let him in: he is with the attendant again. He is told the same as if there were no such
    /// conference, for the difference helps only those who guess. Gives whether an attendant had sent him.
    pub(crate) fn return_to_attendant(&mut self, leg: LegId) -> bool {
        let media = self.legs.get_mut(&leg).and_then(Leg::media);
        let Some((old, entry)) = media.and_then(|media| media.before.take()).map(|before| *before) else {
            return false;
        };
        self.legs.remove(&leg);
        self.branches.remove(&old);
        self.legs.insert(old, entry);
        self.refuse_number(old, true);
        true
    }

    /// There are ports in the conference: his audio is to go there.
    pub(crate) fn move_caller(&mut self, leg: LegId) {
        let Some(entry) = self.legs.get_mut(&leg) else { return };
        let Some(sip) = entry.sip else { return };
        let Some(media) = entry.media() else { return };
        let (Some(local), Some(before)) = (&media.local, &mut media.before) else { return };
        let previous = before.1.media().and_then(|media| media.session.as_ref());
        let (offer, pending) = sdp::offer(local, Direction::SendRecv, previous);
        media.pending = Some(pending);
        self.call(call::Input::Reoffer { leg: sip, body: Body::new(SDP, offer) });
    }

    /// His telephone has answered the offer that moves him. Gives whether it was one.
    pub(crate) fn on_moved(&mut self, leg: LegId, taken: bool) -> bool {
        let is_moving = self.legs.get_mut(&leg).and_then(Leg::media).is_some_and(|media| media.before.is_some());
        if !is_moving {
            return false;
        }
        match taken {
            true => {
                self.leave_attendant(leg);
                self.leg_connected(leg);
            }
            false => self.end_leg(leg, Termination::failed(TerminationReason::MediaNotSupported)),
        }
        true
    }

    /// The leg he had with the attendant goes.
    pub(crate) fn leave_attendant(&mut self, leg: LegId) {
        let media = self.legs.get_mut(&leg).and_then(Leg::media);
        if let Some((old, entry)) = media.and_then(|media| media.before.take()).map(|before| *before) {
            self.mcu(McuCommand::RemoveLeg { leg: old });
            self.mcu(McuCommand::EndConference { conference: entry.conference });
        }
    }

    /// No conference can be entered with what he keyed in, or he keyed nothing in.
    fn refuse_number(&mut self, leg: LegId, guessed: bool) {
        let (now, guesser) =
            (self.now, self.legs.get_mut(&leg).and_then(Leg::media).and_then(|media| media.guesser.clone()));
        if let Some(guesser) = guesser.filter(|_| guessed) {
            self.pins.note_wrong(now, &every_attendant(), &guesser);
        }
        let Some(attended) = self.attended(leg) else { return };
        match attended.dialogue.wrong() {
            Wrong::Again => self.tell(leg, &[Phrase::UnknownConference, Phrase::EnterConferenceNumber], KEY_WAIT),
            Wrong::Farewell => {
                attended.leaving = true;
                self.tell(leg, &[Phrase::UnknownConference, Phrase::Goodbye], FAREWELL_WAIT);
            }
        }
    }

    fn tell(&mut self, leg: LegId, phrases: &[Phrase], wait: Duration) {
        let Some(attended) = self.attended(leg) else { return };
        let parts = phrases.iter().map(|phrase| Spoken::Phrase(*phrase)).collect();
        let announcement = Announcement { language: attended.language.clone(), parts };
        self.mcu(McuCommand::Announce { leg, announcement });
        self.wait(leg, wait);
    }

    fn wait(&mut self, leg: LegId, time: Duration) {
        let due = self.now + time;
        if let Some(attended) = self.attended(leg) {
            attended.due = Some(due);
            self.attendants.0.insert((due, leg));
        }
    }

    fn attended(&mut self, leg: LegId) -> Option<&mut Attended> {
        self.legs.get_mut(&leg)?.media()?.attended.as_deref_mut()
    }

    /// Ends the calls that are with the attendant; the server stops.
    pub(crate) fn stop_attendants(&mut self) {
        let with_attendant = |leg: &mut Leg| leg.media().is_some_and(|media| media.attended.is_some());
        let mut legs: Vec<LegId> =
            self.legs.iter_mut().filter_map(|(id, leg)| with_attendant(leg).then_some(*id)).collect();
        legs.sort_unstable();
        for leg in legs {
            self.end_leg(leg, Termination::cancelled(TerminationReason::ServerStopping));
        }
    }
}

/// Whether an id is one of the attendant's.
pub(crate) fn is_attendants(id: &ConferenceId) -> bool {
    id.as_str().starts_with(CONFERENCE)
}

/// Under which id wrong numbers are counted: whoever guesses may call one access number after another.
fn every_attendant() -> ConferenceId {
    ConferenceId::parse(CONFERENCE).expect("nine letters")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entered(dialogue: &mut Dialogue, keys: &str) -> Option<String> {
        keys.chars().filter_map(|key| dialogue.press(key)).last()
    }

    #[test]
    fn a_number_ends_with_hash_and_begins_anew_with_star() {
        let mut dialogue = Dialogue::new();
        for (keys, number) in [("123456#", "123456"), ("99*7000#", "7000"), ("#", ""), ("**12#", "12")] {
            assert_eq!(entered(&mut dialogue, keys).as_deref(), Some(number), "{keys}");
        }
        let long = entered(&mut dialogue, &format!("{}#", "7".repeat(1_000))).expect("it was ended");
        assert_eq!(long.len(), ConferenceNumber::LENGTH_MAX + 1);
        assert!(ConferenceNumber::parse(&long).is_err());
    }

    #[test]
    fn the_third_wrong_number_is_the_last() {
        let mut dialogue = Dialogue::new();
        dialogue.press('1');
        assert_eq!(
            [dialogue.wrong(), dialogue.wrong(), dialogue.wrong()],
            [Wrong::Again, Wrong::Again, Wrong::Farewell]
        );
        assert_eq!(dialogue.press('#').as_deref(), Some(""), "what was keyed in before is forgotten");
    }

    #[test]
    fn an_access_number_is_known_by_its_digits() {
        let access =
            AccessNumber { number: "+14255550100".to_owned(), language: "en".to_owned(), region: "Home".to_owned() };
        for (user, meant) in [
            ("+14255550100", true),
            ("14255550100", true),
            ("+1-425-555-0100", true),
            ("+14255550100;phone-context=x", true),
            ("+142555501000", false),
            ("4255550100", false),
            ("", false),
        ] {
            assert_eq!(access.is_meant(user), meant, "{user}");
        }
    }
}
