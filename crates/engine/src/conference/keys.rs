//! From keys to the Focus: the same commands as by C3P, said by whoever sits at the leg.

use base::LegId;
use focus::{AdmissionChange, ControlRequest, LobbyAccess, MediaFilter, Outcome, Requester};
use mcu_api::{Announcement, McuCommand, Phrase, Prompt, Spoken};

use crate::conference::keypad::{KeyCommand, Pressed};
use crate::{Engine, Origin};

impl Engine {
    /// Somebody in a conference pressed a key.
    pub(crate) fn on_key(&mut self, leg: LegId, key: char) {
        let (Some(entry), Some(map)) = (self.legs.get_mut(&leg), &self.config.keypad) else { return };
        let (now, is_up) = (self.now, entry.connected.is_some());
        let Some(media) = entry.media().filter(|media| is_up && !media.in_lobby) else { return };
        match media.keypad.press(now, map, key) {
            Pressed::Nothing => {}
            Pressed::Unknown => self.say(leg, vec![Spoken::Phrase(Phrase::InvalidChoice)]),
            Pressed::Command(KeyCommand::Count) => self.say_count(leg),
            Pressed::Command(command) if self.press_loudness_key(leg, command) => {}
            Pressed::Command(command) => self.run_key_command(leg, command),
        }
    }

    /// Says something to a leg.
    pub(crate) fn say(&mut self, leg: LegId, parts: Vec<Spoken>) {
        let announcement = Announcement { language: self.config.language.clone(), parts };
        self.mcu(McuCommand::Announce { leg, announcement });
    }

    /// What became of a command by keys. Who muted himself is told by the Focus; everything else that was done is
    /// confirmed by the entry tone, and what was refused by a phrase.
    pub(crate) fn on_key_outcome(&mut self, leg: LegId, outcome: &Outcome, confirm: bool) {
        match outcome {
            Outcome::Failure(_) => self.say(leg, vec![Spoken::Phrase(Phrase::InvalidChoice)]),
            _ if confirm => self.mcu(McuCommand::PlayPrompt { leg, prompt: Prompt::Entry }),
            _ => {}
        }
    }

    fn run_key_command(&mut self, leg: LegId, command: KeyCommand) {
        let Some(conference) = self.legs.get(&leg).map(|entry| entry.conference.clone()) else { return };
        let Some(request) = self.key_request(leg, command) else { return };
        let confirm = command != KeyCommand::MuteSelf;
        let command = self.command_of(Origin::Keys { leg, confirm });
        let requester = Requester::Participant(leg);
        self.focus(&conference, focus::Input::Command { command, requester, request });
    }

    /// Each key turns around what is so now.
    fn key_request(&self, leg: LegId, command: KeyCommand) -> Option<ControlRequest> {
        let focus = self.conferences.get(&self.legs.get(&leg)?.conference)?;
        Some(match command {
            KeyCommand::MuteSelf => {
                let (user, endpoint) = focus.participant(leg)?;
                let (user, endpoint) = (user.clone(), endpoint.clone());
                let ingress = match focus.ingress(leg)? {
                    MediaFilter::Block => MediaFilter::Unblock,
                    MediaFilter::Unblock => MediaFilter::Block,
                };
                ControlRequest::ModifyEndpointMedia { user, endpoint, ingress: Some(ingress), egress: None }
            }
            KeyCommand::MuteAttendees => {
                ControlRequest::MuteAll { muted: !focus.mutes_attendees(), except_presenters: true }
            }
            KeyCommand::Lock => {
                let admission = AdmissionChange::default();
                ControlRequest::ModifyConferenceLock { locked: !focus.is_locked(), admission }
            }
            KeyCommand::AdmitAll => ControlRequest::SetLobbyAccess { users: Vec::new(), access: LobbyAccess::Granted },
            KeyCommand::Count
            | KeyCommand::HeardLouder
            | KeyCommand::HeardQuieter
            | KeyCommand::HearLouder
            | KeyCommand::HearQuieter => return None,
        })
    }

    fn say_count(&mut self, leg: LegId) {
        let focus = self.legs.get(&leg).and_then(|entry| self.conferences.get(&entry.conference));
        let Some(focus) = focus.filter(|focus| focus.participant(leg).is_some()) else { return };
        let count = u32::try_from(focus.roster_document().conference.user_count).unwrap_or(u32::MAX);
        self.say(leg, vec![Spoken::Phrase(Phrase::PeopleInConference), Spoken::Number(count)]);
    }
}
