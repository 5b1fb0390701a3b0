//! What a conference is before anybody is in it: its record, its PIN, and the settings of its Focus.

use std::fmt;
use std::hint::black_box;

use base::{AccessType, ConferenceId, ConferenceNumber, Duration, InvalidId, Limits, Role, UserUri};

use crate::document::ConferenceDescription;

/// What was scheduled or configured. Only the organizer replaces it, by [`crate::Input::Rescheduled`]; what else changes
/// during a meeting (lock, roles) is lost when the conference is deactivated (c3p.md 8.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConferenceRecord {
    /// The id shared by every modality (requirement C5).
    pub id: ConferenceId,
    /// The number people dial, if it has one.
    pub number: Option<ConferenceNumber>,
    /// Whom the conference belongs to.
    pub organizer: UserUri,
    /// How the organizer is shown.
    pub organizer_name: Option<String>,
    /// What it is about.
    pub subject: Option<String>,
    /// Who may enter (requirement C23).
    pub access: AccessType,
    /// What somebody without an account must enter.
    pub pin: Option<Pin>,
    /// The list of a closed conference, and the roles people start with. `Organizer` here means `Presenter`.
    pub invited: Vec<(UserUri, Role)>,
    /// Locked from the start (c3p.md 2.4).
    pub locked: bool,
    /// Attendees may dial out to third parties (c3p.md 4.4).
    pub attendees_may_dial_out: bool,
    /// Who waits until a presenter lets him in.
    pub lobby: Lobby,
    /// Authenticated users come in as presenters (c3p.md 2.4, `autopromote`). Nobody else ever does.
    pub promote_authenticated: bool,
}

/// Whether a conference has a lobby (c3p.md 2.8, 3.3; the releases after R2 have one, R2 has none).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Lobby {
    /// It has none: who is not admitted is refused.
    #[default]
    Off,
    /// Who has no account, who is not on the list of a closed conference, and who comes while it is locked waits.
    On,
    /// The same, but a telephone caller whom the access type admits comes in at once (`pstn-lobby-bypass`).
    PhonesPass,
}

impl ConferenceRecord {
    /// The role the record gives a user; `None` when it does not name him.
    pub fn listed_role(&self, user: &UserUri) -> Option<Role> {
        if *user == self.organizer {
            return Some(Role::Organizer);
        }
        self.invited.iter().find(|(invited, _)| invited == user).map(|(_, role)| (*role).min(Role::Presenter))
    }

    /// What documents say of it.
    pub(crate) fn description(&self) -> ConferenceDescription {
        ConferenceDescription {
            id: self.id.clone(),
            number: self.number.clone(),
            subject: self.subject.clone(),
            organizer: self.organizer.clone(),
            organizer_name: self.organizer_name.clone(),
            access: self.access,
        }
    }
}

/// Settings of a Focus, the same for every conference of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FocusConfig {
    /// The server's bounds. Used here: `legs_per_conference`, `dial_outs_per_conference`,
    /// `subscriptions_per_conference` and `dial_out_ring`.
    pub limits: Limits,
    /// How long a conference goes on without an authenticated user (c3p.md 8.1: 10 minutes). Zero: for ever.
    pub unauthenticated_grace: Duration,
    /// How long a conference goes on after the last join (c3p.md 8.1: 24 hours). Zero: for ever.
    pub max_without_join: Duration,
    /// How long before one of these two ends the conference everybody is told. Zero: nobody is told.
    pub ending_notice: Duration,
    /// How long a conference outlives the last participant (c3p.md 8.3: 0, optional 60 s).
    pub empty_linger: Duration,
    /// How long a caller may take for one entry of the PIN.
    pub pin_wait: Duration,
    /// Entries of the PIN before the caller is refused; at least 1 (c3p.md 7.2).
    pub pin_tries: u8,
    /// How long somebody may wait in the lobby until a presenter lets him in.
    pub lobby_wait: Duration,
    /// Endpoints that may wait in the lobby at once; a further one is refused with `MaximumMeetingSizeExceeded`.
    pub lobby_places: usize,
    /// Least time between two documents for subscribers; what changes meanwhile goes into one (c3p.md 8.4: 50 to 200 ms).
    /// Zero: each change is a document.
    pub roster_interval: Duration,
    /// How often `pending` is repeated while a dial-out is under way (c3p.md 8.3: the client's watchdog takes 30 s).
    pub pending_interval: Duration,
    /// How long an admitted media leg may take until it is connected.
    pub answer_wait: Duration,
    /// Endpoints of one user; a further one is refused with `TooManyEndpoints`. It bounds what one account
    /// can make every subscriber read.
    pub endpoints_per_user: usize,
    /// Commands waiting for one dial-out; a further retry fails with `OtherFailure`.
    pub commands_per_dial_out: usize,
}

impl Default for FocusConfig {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            unauthenticated_grace: Duration::from_secs(10 * 60),
            max_without_join: Duration::from_secs(24 * 60 * 60),
            ending_notice: Duration::from_secs(60),
            empty_linger: Duration::ZERO,
            pin_wait: Duration::from_secs(30),
            pin_tries: 3,
            lobby_wait: Duration::from_secs(15 * 60),
            lobby_places: 100,
            roster_interval: Duration::from_millis(100),
            pending_interval: Duration::from_secs(20),
            answer_wait: Duration::from_secs(60),
            endpoints_per_user: 16,
            commands_per_dial_out: 16,
        }
    }
}

/// A conference PIN or what somebody entered for one. `Debug` shows no digit; `==` takes the same time whatever
/// differs (reliability.md 28).
#[derive(Clone)]
pub struct Pin {
    digits: [u8; Pin::LENGTH_MAX],
    length: u8,
}

impl Pin {
    /// Digits of the longest PIN (c3p.md 7.2).
    pub const LENGTH_MAX: usize = 24;
    /// Digits of the shortest PIN (c3p.md 7.2).
    pub const LENGTH_MIN: usize = 3;

    /// Reads a PIN that is to be asked for; 3 to 24 ASCII digits.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let invalid = |why| InvalidId { kind: "PIN", why };
        if !(Self::LENGTH_MIN..=Self::LENGTH_MAX).contains(&text.len()) {
            return Err(invalid("it must have 3 to 24 digits"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid("only the digits 0 to 9 are allowed"));
        }
        let mut digits = [0; Self::LENGTH_MAX];
        for (digit, byte) in digits.iter_mut().zip(text.bytes()) {
            *digit = byte;
        }
        Ok(Self { digits, length: u8::try_from(text.len()).expect("at most 24 digits") })
    }

    /// The digits, for storage; never for a log.
    pub fn expose(&self) -> &str {
        std::str::from_utf8(&self.digits[..usize::from(self.length)]).unwrap_or_default()
    }

    /// Takes what somebody entered. What cannot be a PIN equals no PIN that [`Pin::parse`] makes.
    pub fn entered(text: &str) -> Self {
        Self::parse(text).unwrap_or(Self { digits: [0; Self::LENGTH_MAX], length: 0 })
    }
}

impl PartialEq for Pin {
    fn eq(&self, other: &Self) -> bool {
        let lengths = self.length ^ other.length;
        let difference = self.digits.iter().zip(&other.digits).fold(lengths, |sum, (a, b)| black_box(sum | (a ^ b)));
        difference == 0
    }
}

impl Eq for Pin {}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin(...)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_compared_by_all_their_digits_and_not_printed() {
        let pin = Pin::parse("4711").expect("valid");
        assert_eq!(pin, Pin::entered("4711"));
        for wrong in ["", "4712", "5711", "47110", "471", "4711#", "x", &"4".repeat(300)] {
            assert_ne!(pin, Pin::entered(wrong), "{wrong:?} was taken for 4711");
        }
        assert_eq!(format!("{pin:?}"), "Pin(...)");
    }

    #[test]
    fn pins_have_3_to_24_digits() {
        for bad in ["", "12", "12a4", &"1".repeat(25)] {
            assert!(Pin::parse(bad).is_err(), "{bad:?} was accepted");
        }
        assert!(Pin::parse(&"1".repeat(24)).is_ok());
    }
}
