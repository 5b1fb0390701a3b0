//! One leg of a conference as the engine sees it: where it stands between the SIP side and the media side.

use base::{ConferenceId, LegId, OfferId, Termination, Timestamp, UserUri};
use call::Invitation;
use mcu_api::LegStatistics;
use sdp::{LocalMedia, PendingOffer, Session};

use crate::conference::attendant::Attended;
use crate::conference::keypad::Keypad;
use crate::conference::loudness::Loudness;
use crate::conference::pin_guard::Guesser;
use crate::control::backlog::Backlog;
use crate::destination::Answerer;
use crate::digits::Digits;
use crate::people::way::Way;

/// One leg: a Focus dialog, or a call with audio.
#[derive(Debug)]
pub(crate) struct Leg {
    /// The conference it belongs to.
    pub(crate) conference: ConferenceId,
    /// The SIP leg; `None` while nobody has answered a dial-out.
    pub(crate) sip: Option<LegId>,
    /// What it carries.
    pub(crate) kind: LegKind,
    /// When it was announced or asked for.
    pub(crate) since: Timestamp,
    /// When it was connected.
    pub(crate) connected: Option<Timestamp>,
    /// How it ended, once it did.
    pub(crate) ended: Option<(Timestamp, Termination)>,
    /// Who is at the other end.
    pub(crate) peer: UserUri,
    /// As whom he stands, or last stood, in the roster.
    pub(crate) listed: Option<UserUri>,
    /// Who he says he is, when nobody vouches for it.
    pub(crate) claimed: Option<UserUri>,
    /// What was called, as it was written.
    pub(crate) address: Option<String>,
    /// The Call-ID of his dialog.
    pub(crate) call_id: Option<String>,
    /// What he called with, as it calls itself (requirement C21).
    pub(crate) user_agent: Option<String>,
    /// The name of the trunk he called by, if he did.
    pub(crate) trunk: Option<String>,
    /// The SIP status that ended his call, if one did.
    pub(crate) status: Option<u16>,
    /// When the attendant answered his call, if he came by an access number.
    pub(crate) answered: Option<Timestamp>,
    /// C3P responses owed to it.
    pub(crate) backlog: Backlog,
}

/// What a leg carries.
#[derive(Debug)]
pub(crate) enum LegKind {
    /// C3P commands.
    FocusDialog,
    /// Audio.
    Media(Box<MediaLeg>),
}

/// The audio side of a leg.
#[derive(Debug)]
pub(crate) struct MediaLeg {
    /// How it came about.
    pub(crate) origin: MediaOrigin,
    /// Our addresses and keys, once the MCU has leased ports.
    pub(crate) local: Option<LocalMedia>,
    /// Our offer that waits for its answer.
    pub(crate) pending: Option<PendingOffer>,
    /// What was agreed.
    pub(crate) session: Option<Session>,
    /// Whether the MCU knows the leg, and so owes a final event.
    pub(crate) in_mcu: bool,
    /// The MCU has been told to remove it.
    pub(crate) released: bool,
    /// The peer has put it on hold.
    pub(crate) held: bool,
    /// To whom the caller's wrong PINs are counted; `None` for a dial-out.
    pub(crate) guesser: Option<Guesser>,
    /// The attendant asks him for a conference.
    pub(crate) attended: Option<Box<Attended>>,
    /// The leg he had with the attendant, until his audio is in the conference.
    pub(crate) before: Option<Box<(LegId, Leg)>>,
    /// Digits of a PIN so far, while the Focus waits for one.
    pub(crate) pin_entry: Option<String>,
    /// He waits until a presenter lets him in.
    pub(crate) in_lobby: bool,
    /// The keys he presses.
    pub(crate) keypad: Keypad,
    /// How loud he is heard and hears.
    pub(crate) loudness: Loudness,
    /// Those keys as they are reported, perhaps twice.
    pub(crate) digits: Digits,
    /// Final figures, once the MCU has given them.
    pub(crate) statistics: LegStatistics,
}

/// How an audio leg came about.
#[derive(Debug)]
pub(crate) enum MediaOrigin {
    /// Somebody called; the invitation is kept until it is answered.
    Incoming(Option<Box<Invitation>>),
    /// The conference calls somebody.
    Outgoing(Box<DialOut>),
}

/// A dial-out on its way.
#[derive(Debug)]
pub(crate) struct DialOut {
    /// How he is shown.
    pub(crate) display_name: Option<String>,
    /// Who asked.
    pub(crate) requested_by: Option<UserUri>,
    /// Where the call is, has been and may go; `None` when it could go nowhere from the start.
    pub(crate) way: Option<Way>,
    /// The offer under way.
    pub(crate) offer: Option<OfferId>,
    /// Who answered, if it was not the callee at a device of his: a user, or a number as `tel:`.
    pub(crate) answered_by: Option<UserUri>,
    /// The name of the trunk he was reached by, if he was.
    pub(crate) trunk: Option<String>,
    /// The SIP legs of that offer.
    pub(crate) ringing: Vec<Branch>,
    /// It rings; early media or a ringing phone forbids another trunk.
    pub(crate) alerting: bool,
}

/// A SIP leg that is rung for a dial-out.
#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) leg: LegId,
    pub(crate) who: Answerer,
    pub(crate) trunk: Option<String>,
}

impl DialOut {
    /// Who is, or is to be, at the other end: a user, or a number as `tel:`.
    pub(crate) fn person(&self) -> Option<UserUri> {
        self.answered_by.clone().or_else(|| self.way.as_ref()?.destination.person())
    }

    /// Whom the last INVITEs went to.
    pub(crate) fn people(&self) -> impl Iterator<Item = UserUri> {
        let callee = self.way.as_ref().map(|way| &way.destination);
        self.ringing.iter().filter_map(move |branch| branch.who.person(callee?))
    }

    /// Whether somebody's phone rings for it.
    pub(crate) fn rings(&self, user: &UserUri) -> bool {
        self.offer.is_some() && self.people().any(|person| person == *user)
    }
}

impl Branch {
    /// Who answers on it, if it is not the callee at a device of his.
    pub(crate) fn answered_by(&self) -> Option<UserUri> {
        match &self.who {
            Answerer::Callee => None,
            Answerer::Elsewhere(person) | Answerer::Helper(person) => Some(person.clone()),
        }
    }
}

/// Characters of a `User-Agent` that are kept; anybody may write anything there.
const USER_AGENT_MAX: usize = 128;

/// What somebody calls with, as it calls itself.
pub(crate) fn user_agent(call: &Invitation) -> Option<String> {
    let text = call.request.headers.get("User-Agent")?;
    Some(text.chars().filter(|letter| !letter.is_control()).take(USER_AGENT_MAX).collect())
}

impl Leg {
    /// A new leg.
    pub(crate) fn new(conference: ConferenceId, peer: UserUri, kind: LegKind, since: Timestamp) -> Self {
        Self {
            conference,
            sip: None,
            kind,
            since,
            connected: None,
            ended: None,
            peer,
            listed: None,
            claimed: None,
            address: None,
            call_id: None,
            user_agent: None,
            trunk: None,
            status: None,
            answered: None,
            backlog: Backlog::default(),
        }
    }

    /// The audio side, if it has one.
    pub(crate) fn media(&mut self) -> Option<&mut MediaLeg> {
        match &mut self.kind {
            LegKind::Media(media) => Some(media),
            LegKind::FocusDialog => None,
        }
    }

    /// What was counted of its audio so far.
    pub(crate) fn statistics(&self) -> Option<&LegStatistics> {
        match &self.kind {
            LegKind::Media(media) => Some(&media.statistics),
            LegKind::FocusDialog => None,
        }
    }

    /// How loud it is heard and hears.
    pub(crate) fn loudness(&self) -> Option<Loudness> {
        match &self.kind {
            LegKind::Media(media) => Some(media.loudness),
            LegKind::FocusDialog => None,
        }
    }

    /// The dial-out, if it is one.
    pub(crate) fn dial_out(&mut self) -> Option<&mut DialOut> {
        self.media().and_then(MediaLeg::dial_out)
    }
}

impl MediaLeg {
    /// An audio leg that has nothing yet.
    pub(crate) fn new(origin: MediaOrigin) -> Self {
        Self {
            origin,
            local: None,
            pending: None,
            session: None,
            in_mcu: false,
            released: false,
            held: false,
            guesser: None,
            attended: None,
            before: None,
            pin_entry: None,
            in_lobby: false,
            keypad: Keypad::default(),
            loudness: Loudness::default(),
            digits: Digits::default(),
            statistics: LegStatistics::default(),
        }
    }

    /// The dial-out, if it is one.
    pub(crate) fn dial_out(&mut self) -> Option<&mut DialOut> {
        match &mut self.origin {
            MediaOrigin::Outgoing(dial_out) => Some(dial_out),
            MediaOrigin::Incoming(_) => None,
        }
    }
}
