//! What the MCU can say to a leg: fixed phrases in a language, numbers, the operator's own files.

use serde::{Deserialize, Serialize};

/// Something said to one leg, part after part without a gap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// Language of phrases and numbers, a BCP 47 tag such as `en` or `de`. One that is not known falls back to `en`;
    /// an empty one is that of the configuration.
    pub language: String,
    /// What is said, in order. At most [`Announcement::PARTS_MAX`]; further ones are dropped.
    pub parts: Vec<Spoken>,
}

impl Announcement {
    /// Parts of one announcement.
    pub const PARTS_MAX: usize = 32;
}

/// One part of an announcement.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Spoken {
    /// A fixed phrase.
    Phrase(Phrase),
    /// A whole number, said as a number: 12 is "twelve".
    Number(u32),
    /// Digits said one by one: a PIN, a conference number. Anything but `0`-`9`, `*` and `#` is left out.
    Digits(String),
    /// A sound file of the operator's, by name inside the configured folder. One that cannot be played is left out.
    File(String),
    /// Silence, in milliseconds.
    Pause(u16),
}

/// Makes [`Phrase`] of a list, so that a phrase and its name stand in one place.
macro_rules! phrases {
    ($($(#[$text:meta])* $phrase:ident = $name:literal,)+) => {
        /// A fixed phrase. Every language has all of them; the texts stand in the language's file.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Phrase {
            $($(#[$text])* $phrase,)+
        }

        impl Phrase {
            /// Every phrase there is.
            pub const ALL: &[Self] = &[$(Self::$phrase,)+];

            /// Its name: of its sound in a language, and of its text.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$phrase => $name,)+
                }
            }
        }
    };
}

phrases! {
    /// "Please enter your PIN, then press hash."
    EnterPin = "enter-pin",
    /// "That PIN is not right."
    WrongPin = "wrong-pin",
    /// "Please wait; somebody will let you in."
    WaitInLobby = "wait-in-lobby",
    /// "You are in the conference."
    Joined = "joined",
    /// "You are the first one here."
    FirstOne = "first-one",
    /// "You are muted."
    Muted = "muted",
    /// "You can be heard again."
    Unmuted = "unmuted",
    /// "The conference will end soon.", so long before it as the configuration says.
    ConferenceEnds = "conference-ends",
    /// "In the conference are" (a number follows).
    PeopleInConference = "people-in-conference",
    /// "Welcome. Thank you for calling."
    Welcome = "welcome",
    /// "All our people are busy. Please hold the line."
    AllBusy = "all-busy",
    /// "You are number" (a number follows).
    YouAreNumber = "you-are-number",
    /// "in the queue."
    InTheQueue = "in-the-queue",
    /// "The estimated wait is" (a number of minutes follows).
    EstimatedWait = "estimated-wait",
    /// "minutes."
    Minutes = "minutes",
    /// "The estimated wait is less than one minute."
    LessThanOneMinute = "less-than-one-minute",
    /// "We are closed now."
    Closed = "closed",
    /// "We are closed for the holiday."
    Holiday = "holiday",
    /// "Nobody can take your call now."
    NobodyAvailable = "nobody-available",
    /// "Your choice was not understood."
    InvalidChoice = "invalid-choice",
    /// "Your call is being forwarded."
    Forwarding = "forwarding",
    /// "Press one to take the call."
    PressOne = "press-one",
    /// "Goodbye."
    Goodbye = "goodbye",
    /// "You are signed in."
    SignedIn = "signed-in",
    /// "You are signed out."
    SignedOut = "signed-out",
    /// "This call is being recorded."
    Recorded = "recorded",
    /// "Somebody has joined."
    SomebodyJoined = "somebody-joined",
    /// "Somebody has left."
    SomebodyLeft = "somebody-left",
    /// "You get no calls now."
    Paused = "paused",
    /// "You get calls again."
    Resumed = "resumed",
    /// "Please call again in some minutes."
    CallAgain = "call-again",
    /// "Please enter the conference number, then press hash."
    EnterConferenceNumber = "enter-conference-number",
    /// "No conference can be entered with that number."
    UnknownConference = "unknown-conference",
}

/// What a leg hears while it hears no mix and no announcement.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Background {
    /// What the conference gives to somebody who is alone.
    #[default]
    Alone,
    /// Nothing.
    Silence,
    /// Music made by the MCU.
    Music,
    /// The operator's own music, a file by name inside the configured folder, over and over.
    File(String),
    /// The tone that says that it rings at the other end.
    Ringback,
}

/// Form of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordingFormat {
    /// Opus in Ogg (RFC 7845).
    Opus,
    /// 16-bit PCM in RIFF WAVE.
    Wav,
}
