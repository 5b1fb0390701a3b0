//! Talking robots: phones with a voice of their own, for the demo and for tests that want speech.

use std::time::Duration;

use crate::error::Error;
use crate::g711;
use crate::phone::{Call, PhoneOptions, ScriptedPhone};
use crate::wav;

/// One sentence of one robot, ready to be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Clip {
    /// "Hello, this is ..." in the robot's own voice.
    Hello,
    /// What the robot has to say in the meeting.
    Statement,
}

macro_rules! clip {
    ($name:literal) => {
        include_bytes!(concat!("../clips/", $name, ".ulaw"))
    };
}

impl Clip {
    /// Samples of [`SAMPLE_RATE`](crate::SAMPLE_RATE); empty for a name that is not in [`Robot::NAMES`].
    pub fn samples(self, robot: &str) -> Vec<i16> {
        let file: &[u8] = match (self, robot) {
            (Self::Hello, "Ada") => clip!("ada-hello"),
            (Self::Statement, "Ada") => clip!("ada-statement"),
            (Self::Hello, "Ben") => clip!("ben-hello"),
            (Self::Statement, "Ben") => clip!("ben-statement"),
            (Self::Hello, "Cleo") => clip!("cleo-hello"),
            (Self::Statement, "Cleo") => clip!("cleo-statement"),
            (Self::Hello, "Dan") => clip!("dan-hello"),
            (Self::Statement, "Dan") => clip!("dan-statement"),
            _ => return Vec::new(),
        };
        file.iter().map(|code| g711::decode_ulaw(*code)).collect()
    }
}

/// A phone with a voice.
pub struct Robot {
    name: String,
    phone: ScriptedPhone,
    call: Option<Call>,
}

impl Robot {
    /// The robots there are clips for. Their voices differ in pitch.
    pub const NAMES: [&str; 4] = ["Ada", "Ben", "Cleo", "Dan"];

    /// A robot of [`Robot::NAMES`].
    pub async fn open(name: &str, options: PhoneOptions) -> Result<Self, Error> {
        Ok(Self { name: name.to_owned(), phone: ScriptedPhone::open(options).await?, call: None })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its phone.
    pub fn phone(&mut self) -> &mut ScriptedPhone {
        &mut self.phone
    }

    /// The call it is in.
    pub fn call(&self) -> Option<&Call> {
        self.call.as_ref().filter(|call| !call.has_ended())
    }

    /// Calls somebody, most often a conference.
    pub async fn join(&mut self, uri: &str) -> Result<(), Error> {
        self.call = Some(self.phone.call(uri).await?);
        Ok(())
    }

    /// Waits to be called, and answers.
    pub async fn be_called(&mut self, within: Duration) -> Result<(), Error> {
        self.call = Some(self.phone.next_call(within).await?);
        Ok(())
    }

    /// Says something and waits until it is said. Without a call nothing happens.
    pub async fn speak(&self, clip: Clip) {
        let Some(call) = self.call() else { return };
        call.audio().play(&clip.samples(&self.name));
        tokio::time::sleep(call.audio().queued()).await;
    }

    /// Writes what it heard since it joined to a WAV file.
    pub fn save_recording(&self, path: &std::path::Path) -> Result<(), Error> {
        let call = self.call.as_ref().ok_or(Error::Closed)?;
        Ok(wav::write(path, &call.audio().recording())?)
    }

    /// Hangs up. What was heard is kept until the next call.
    pub async fn leave(&self) -> Result<(), Error> {
        match self.call() {
            Some(call) => call.hang_up().await,
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_robot_has_its_sentences() {
        for name in Robot::NAMES {
            for clip in [Clip::Hello, Clip::Statement] {
                let samples = clip.samples(name);
                let loudest = samples.iter().map(|sample| sample.unsigned_abs()).max();
                assert!(samples.len() > 8_000, "{name} says nothing");
                assert!(loudest.is_some_and(|peak| (5_000..30_000).contains(&peak)), "{name} peaks at {loudest:?}");
            }
        }
    }
}
