//! What a caller hears while he talks with nobody: music, ringing, prompts, his place in the queue.

use base::{CallId, LegId, Termination, TerminationReason, UserUri};
use mcu_api::{Announcement as Speech, Background, McuCommand, Phrase, Spoken};
use response_group::{Announcement, Input, Sound};

use super::Role;
use crate::Engine;

/// What a caller is to hear. It is kept while his media does not stand yet.
#[derive(Debug, Default)]
pub(super) struct Audio {
    /// His media stands.
    ready: bool,
    background: Option<Background>,
    /// What is to be said as soon as he can hear it.
    waiting: Option<Speech>,
    /// Announcements the MCU has not reported the end of; one that was replaced is reported as well.
    outstanding: u32,
    /// When that is said, he is hung up for this reason.
    farewell: Option<Termination>,
}

impl Audio {
    /// Whether he is hearing the last words before his BYE.
    pub(super) fn is_farewell(&self) -> bool {
        self.farewell.is_some()
    }
}

impl Engine {
    /// Something to be heard until something else.
    pub(super) fn play_sound(&mut self, call: CallId, sound: Sound) {
        let background = match sound {
            Sound::Ringback => Background::Ringback,
            Sound::Music { name: None } => Background::Music,
            Sound::Music { name: Some(name) } => Background::File(name),
        };
        self.show_partner(call, None);
        let Some(caller) = self.groups.callers.get_mut(&call) else { return };
        caller.audio.background = Some(background);
        if caller.audio.ready {
            self.play_to_caller(call);
        }
    }

    /// Something to be said once.
    pub(super) fn announce(&mut self, call: CallId, announcement: &Announcement, language: Option<String>) {
        let language = self.spoken_language(language);
        self.say_to_caller(call, Speech { language, parts: parts(announcement) });
    }

    /// The language a group wants, or the server's own.
    pub(super) fn spoken_language(&self, wanted: Option<String>) -> String {
        wanted.unwrap_or_else(|| self.config.language.clone())
    }

    fn language_of_group(&self, group: &UserUri) -> String {
        let groups = self.groups.domain.iter().flat_map(|domain| &domain.config().groups);
        let group = groups.into_iter().find(|known| known.uri == *group);
        self.spoken_language(group.and_then(|group| group.language.clone()))
    }

    fn say_to_caller(&mut self, call: CallId, spoken: Speech) {
        let Some(caller) = self.groups.callers.get_mut(&call) else { return };
        caller.audio.waiting = Some(spoken);
        if caller.audio.ready {
            self.play_to_caller(call);
        }
    }

    /// The last words before his BYE.
    pub(super) fn say_farewell(
        &mut self,
        call: CallId,
        prompt: String,
        language: Option<String>,
        termination: Termination,
    ) {
        let Some(caller) = self.groups.callers.get_mut(&call) else { return };
        caller.audio.farewell = Some(termination);
        let group = caller.group.clone();
        let language = language.unwrap_or_else(|| self.language_of_group(&group));
        self.say_to_caller(call, Speech { language, parts: vec![prompt_part(prompt)] });
    }

    /// His media stands: he is given what waits for him.
    pub(super) fn play_to_caller(&mut self, call: CallId) {
        let Some(caller) = self.groups.callers.get_mut(&call) else { return };
        let leg = caller.leg;
        caller.audio.ready = true;
        let (background, waiting) = (caller.audio.background.take(), caller.audio.waiting.take());
        caller.audio.outstanding += u32::from(waiting.is_some());
        if let Some(background) = background {
            self.command_leg(leg, McuCommand::SetBackground { leg, background });
        }
        if let Some(announcement) = waiting {
            self.command_leg(leg, McuCommand::Announce { leg, announcement });
        }
    }

    /// He talks with somebody now: what is being said to him is cut short.
    pub(super) fn hush_caller(&mut self, call: CallId) {
        let Some(caller) = self.groups.callers.get_mut(&call) else { return };
        caller.audio.waiting = None;
        if caller.audio.outstanding > 0 {
            let leg = caller.leg;
            self.command_leg(leg, McuCommand::StopAnnouncement { leg });
        }
    }

    /// Something was said to its end, was cut short, or could not be said: in each case the call goes on.
    pub(super) fn on_group_announced(&mut self, leg: LegId) {
        match self.groups.role(leg) {
            Some(Role::Caller(call)) => self.on_caller_announced(call),
            Some(Role::Errand) => self.hang_up_sip(leg, Termination::completed(TerminationReason::Departed)),
            _ => {}
        }
    }

    fn on_caller_announced(&mut self, call: CallId) {
        let Some(caller) = self.groups.callers.get_mut(&call) else { return };
        caller.audio.outstanding = caller.audio.outstanding.saturating_sub(1);
        if caller.audio.outstanding > 0 || caller.audio.waiting.is_some() {
            return;
        }
        if let Some(termination) = caller.audio.farewell {
            let leg = caller.leg;
            return self.hang_up_sip(leg, termination);
        }
        self.tell_groups(Input::AnnouncementEnded { call });
    }
}

fn parts(announcement: &Announcement) -> Vec<Spoken> {
    match announcement {
        Announcement::Prompt { name } => vec![prompt_part(name.clone())],
        Announcement::Queue { position, wait_seconds } => {
            let place = position.iter().flat_map(|place| {
                [Spoken::Phrase(Phrase::YouAreNumber), Spoken::Number(*place), Spoken::Phrase(Phrase::InTheQueue)]
            });
            let wait = wait_seconds.iter().flat_map(|seconds| wait_parts(*seconds));
            place.chain(wait).collect()
        }
    }
}

fn wait_parts(seconds: u32) -> Vec<Spoken> {
    match seconds.div_ceil(60) {
        0 | 1 => vec![Spoken::Phrase(Phrase::LessThanOneMinute)],
        minutes => {
            vec![Spoken::Phrase(Phrase::EstimatedWait), Spoken::Number(minutes), Spoken::Phrase(Phrase::Minutes)]
        }
    }
}

/// A name is one of the server's own phrases, or else a file of the operator's.
fn prompt_part(name: String) -> Spoken {
    phrase_of(&name).map_or(Spoken::File(name), Spoken::Phrase)
}

/// Whether a prompt of this name is one of the server's own phrases.
pub fn is_phrase(name: &str) -> bool {
    phrase_of(name).is_some()
}

/// What a group says to its callers by itself, or when it is told to by name.
const OWN_WORDS: [Phrase; 10] = [
    Phrase::Welcome,
    Phrase::AllBusy,
    Phrase::Closed,
    Phrase::Holiday,
    Phrase::NobodyAvailable,
    Phrase::InvalidChoice,
    Phrase::Forwarding,
    Phrase::Goodbye,
    Phrase::Recorded,
    Phrase::CallAgain,
];

fn phrase_of(name: &str) -> Option<Phrase> {
    OWN_WORDS.into_iter().find(|phrase| phrase.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_and_the_wait_are_said_as_people_say_them() {
        let said = |position, wait_seconds| parts(&Announcement::Queue { position, wait_seconds });
        assert_eq!(said(Some(3), None).len(), 3);
        assert_eq!(said(None, Some(59)), [Spoken::Phrase(Phrase::LessThanOneMinute)]);
        assert_eq!(said(None, Some(61))[1], Spoken::Number(2));
        assert!(said(None, None).is_empty());
    }

    #[test]
    fn a_prompt_is_a_phrase_of_ours_or_a_file() {
        assert_eq!(prompt_part("closed".to_owned()), Spoken::Phrase(Phrase::Closed));
        assert_eq!(prompt_part("our-jingle".to_owned()), Spoken::File("our-jingle".to_owned()));
    }
}
