//! The rules, looked after at every step. What the engine is told and what it wants pass through here first.

mod board;
mod control;
mod groups;
mod media;
mod requests;
mod twin;

use base::{Duration, Timestamp};
use engine::{ConferenceView, Effect, Engine, EngineEvent, GroupJournal, Input};
use mcu_api::McuEvent;
use response_group::Snapshot;

use crate::phone::Phone;
use crate::roster::own_roster;
use crate::stack::Stack;
use board::Board;
use control::Control;
use groups::Groups;
pub(crate) use groups::happened;
use media::Media;
use requests::Requests;

/// All rules and what they have seen so far.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    requests: Requests,
    media: Media,
    control: Control,
    groups: Groups,
    /// `None` until it is first looked at.
    board: Option<Board>,
}

impl Checker {
    /// The engine is about to be told something.
    pub(crate) fn input(&mut self, now: Timestamp, input: &Input) {
        if let Input::Sip(event) = input {
            self.requests.told(now, event);
        }
    }

    /// The server's process died, and this is what its journal keeps. Response groups alone go on after that.
    pub(crate) fn server_died(&mut self, journal: &[GroupJournal]) -> Result<(), String> {
        self.requests = Requests::default();
        self.media = Media::default();
        self.control = Control::default();
        self.board = None;
        self.groups.server_died(journal)
    }

    /// The media side reports something; from here on the engine knows.
    pub(crate) fn mcu_reports(&mut self, event: &McuEvent) {
        self.media.reported(event);
    }

    /// The engine wants something.
    pub(crate) fn effect(&mut self, effect: &Effect) -> Result<(), String> {
        match effect {
            Effect::Sip(command) => {
                self.requests.wanted(command);
                Ok(())
            }
            Effect::Mcu(command) => self.media.commanded(command),
            Effect::Event(EngineEvent::Conference { conference, event }) => self.control.happened(conference, event),
            Effect::Event(EngineEvent::LegEnded(record)) => self.control.recorded(record),
            Effect::Event(EngineEvent::GroupCallEnded(record)) => self.groups.ended(&record.call),
            Effect::Journal(record) => self.groups.journalled(record),
            Effect::Event(event) => self.board.as_mut().map_or(Ok(()), |board| board.hears(event)),
            Effect::Store { .. } => Ok(()),
        }
    }

    /// What must be done within the very input that asks for it.
    pub(crate) fn answered(&mut self) -> Result<(), String> {
        self.requests.answered()
    }

    /// Everybody has said what he had to say about this step.
    pub(crate) fn settled(&self, now: Timestamp, views: &[ConferenceView], edge: &Stack) -> Result<(), String> {
        self.requests.overdue(now)?;
        self.control.agrees_with(views)?;
        for (leg, endpoint) in self.control.audio() {
            self.media.carries(leg, &endpoint.name)?;
            let muted = views.iter().find_map(|view| endpoint.muted_in(view));
            self.media.filters(leg, &endpoint.name, muted.unwrap_or(false))?;
        }
        groups::two_at_most(self.media.heard())?;
        groups::rung_once(edge)?;
        for (leg, conference) in self.media.heard().filter(|(_, conference)| !groups::is_callers(conference)) {
            if !self.control.has_audio(leg) && !control::is_coming_in(views, conference, leg) {
                return Err(format!("{leg:?} is in the mix of {conference} but not in its roster"));
            }
        }
        control::rings_for_a_reason(views, edge)
    }

    /// Who was shown the wallboard once and has heard all events since knows what it shows now.
    pub(crate) fn wallboard(&mut self, shown: Option<&Snapshot>) -> Result<(), String> {
        let Some(shown) = shown else { return Ok(()) };
        self.board.get_or_insert_with(|| Board::shown(shown)).agrees_with(shown)
    }

    /// What subscribers know is what the Focus knows, unless a document is under way to them or is about to be.
    pub(crate) fn rosters(&self, views: &[ConferenceView], edge: &Stack, phones: &[Phone]) -> Result<(), String> {
        for phone in phones.iter().filter(|phone| !phone.gone) {
            for (call, copy) in phone.rosters() {
                if self.requests.is_unreachable(call) || requests::is_being_notified(edge, call) {
                    continue;
                }
                let focus = c3p::FocusUri::parse(&copy.entity).map_err(|error| error.to_string())?;
                let Some(view) = views.iter().find(|view| view.id == focus.conference_id) else {
                    return Err(format!("{} was not told that {} is over", phone.name, focus.conference_id));
                };
                let own = own_roster(view);
                if view.published && own != copy.snapshot {
                    return Err(format!("{} knows {:?} but the Focus {own:?}", phone.name, copy.snapshot));
                }
            }
        }
        Ok(())
    }

    /// Everybody has gone home and time has passed: nothing is left anywhere.
    pub(crate) fn at_rest(&mut self, engine: &Engine, edge: &Stack, phones: &[Phone]) -> Result<(), String> {
        let load = engine.load();
        if engine.poll_timeout().is_some() || load != engine::Load::default() {
            return Err(format!("the engine still holds {load:?}, next timer {:?}", engine.poll_timeout()));
        }
        if !engine.conferences().is_empty() {
            return Err(format!("conferences are left: {:?}", engine.conferences()));
        }
        if let Some((_, request)) = edge.unanswered().next() {
            return Err(format!("a {} was never answered", request.method));
        }
        self.media.at_rest()?;
        self.groups.at_rest()?;
        self.control.at_rest(self.media.reserved())?;
        let leftovers: Vec<String> = phones.iter().filter(|phone| !phone.gone).flat_map(Phone::leftovers).collect();
        if leftovers.is_empty() { Ok(()) } else { Err(leftovers.join("; ")) }
    }
}

/// How long a request other than INVITE may stay without a final response: until its sender gives up.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// The same for INVITE: Timer C, and some air.
const ANSWER_INVITE_WITHIN: Duration = Duration::from_secs(185);
