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

/// A fixed phrase. Every language has all of them; the texts stand in the language's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phrase {
    /// "Please enter your PIN, then press hash."
    EnterPin,
    /// "That PIN is not right."
    WrongPin,
    /// "Please wait; somebody will let you in."
    WaitInLobby,
    /// "You are in the conference."
    Joined,
    /// "You are the first one here."
    FirstOne,
    /// "You are muted."
    Muted,
    /// "You can be heard again."
    Unmuted,
    /// "The conference ends now."
    ConferenceEnds,
    /// "In the conference are" (a number follows).
    PeopleInConference,
    /// "Welcome. Thank you for calling."
    Welcome,
    /// "All our people are busy. Please hold the line."
    AllBusy,
    /// "You are number" (a number follows).
    YouAreNumber,
    /// "in the queue."
    InTheQueue,
    /// "The estimated wait is" (a number of minutes follows).
    EstimatedWait,
    /// "minutes."
    Minutes,
    /// "The estimated wait is less than one minute."
    LessThanOneMinute,
    /// "We are closed now."
    Closed,
    /// "We are closed for the holiday."
    Holiday,
    /// "Nobody can take your call now."
    NobodyAvailable,
    /// "Your choice was not understood."
    InvalidChoice,
    /// "Your call is being forwarded."
    Forwarding,
    /// "Press one to take the call."
    PressOne,
    /// "Goodbye."
    Goodbye,
    /// "You are signed in."
    SignedIn,
    /// "You are signed out."
    SignedOut,
    /// "This call is being recorded."
    Recorded,
    /// "Somebody has joined."
    SomebodyJoined,
    /// "Somebody has left."
    SomebodyLeft,
    /// "You get no calls now."
    Paused,
    /// "You get calls again."
    Resumed,
    /// "Please call again in some minutes."
    CallAgain,
    /// "Please enter the conference number, then press hash."
    EnterConferenceNumber,
    /// "No conference can be entered with that number."
    UnknownConference,
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
