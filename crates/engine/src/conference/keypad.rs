//! What the keys of a telephone do inside a conference: a table, and a reader of two keys.
//!
//! Pure: the time of each key is an argument. The default is the map of the release after R2 (c3p.md 7.2): which keys R2
//! had, if any, is not known.

use base::{Duration, Timestamp};

/// How long after the command key the second key may come.
const SECOND_KEY_WITHIN: Duration = Duration::from_secs(3);

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyCommand {
    /// Mute or unmute myself.
    MuteSelf,
    /// Mute or unmute everybody but the presenters. For presenters.
    MuteAttendees,
    /// Lock or unlock the conference. For presenters.
    Lock,
    /// Tell me how many are in.
    Count,
    /// Let everybody in who waits in the lobby. For presenters.
    AdmitAll,
    /// Let the others hear me louder.
    HeardLouder,
    /// Let the others hear me quieter.
    HeardQuieter,
    /// Let me hear everything louder.
    HearLouder,
    /// Let me hear everything quieter.
    HearQuieter,
}

/// The keys of a conference: the command key, then one of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyMap {
    /// The command key.
    pub command: char,
    /// The second key and what it does.
    pub keys: Vec<(char, KeyCommand)>,
}

impl Default for KeyMap {
    fn default() -> Self {
        let keys = vec![
            ('3', KeyCommand::Count),
            ('#', KeyCommand::Count),
            ('4', KeyCommand::MuteAttendees),
            ('6', KeyCommand::MuteSelf),
            ('7', KeyCommand::Lock),
            // Unassigned in that release; without it nobody at a telephone could open the door.
            ('8', KeyCommand::AdmitAll),
            // Unassigned too: the upper key is louder, the lower one quieter.
            ('2', KeyCommand::HearLouder),
            ('5', KeyCommand::HearQuieter),
            ('1', KeyCommand::HeardLouder),
            ('0', KeyCommand::HeardQuieter),
        ];
        Self { command: '*', keys }
    }
}

impl KeyMap {
    fn meaning(&self, key: char) -> Option<KeyCommand> {
        self.keys.iter().find(|(known, _)| *known == key).map(|(_, command)| *command)
    }
}

/// The keys of one leg.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Keypad {
    /// When the command key was pressed, while it waits for the second one.
    command_key: Option<Timestamp>,
}

/// What a key made of the keys so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pressed {
    /// Nothing yet, or nothing that means anything.
    Nothing,
    /// A command.
    Command(KeyCommand),
    /// The command key and one that means nothing.
    Unknown,
}

impl Keypad {
    /// Takes a key. The command key begins anew, also right after itself.
    pub(crate) fn press(&mut self, now: Timestamp, map: &KeyMap, key: char) -> Pressed {
        let in_time = self.command_key.take().is_some_and(|at| now.since(at) <= SECOND_KEY_WITHIN);
        match map.meaning(key) {
            _ if key == map.command => {
                self.command_key = Some(now);
                Pressed::Nothing
            }
            _ if !in_time => Pressed::Nothing,
            Some(command) => Pressed::Command(command),
            None => Pressed::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pressed(keys: &[(u64, char)]) -> Vec<Pressed> {
        let (mut pad, map) = (Keypad::default(), KeyMap::default());
        keys.iter().map(|(at, key)| pad.press(Timestamp::from_millis(*at), &map, *key)).collect()
    }

    #[test]
    fn two_keys_in_time_are_a_command() {
        use Pressed::{Command, Nothing, Unknown};
        for (keys, expected) in [
            (&[(0, '*'), (2_900, '6')][..], Command(KeyCommand::MuteSelf)),
            (&[(0, '*'), (3_100, '6')], Nothing),
            (&[(0, '6')], Nothing),
            (&[(0, '*'), (1, '6'), (2, '6')], Nothing),
            (&[(0, '*'), (2_900, '*'), (5_000, '#')], Command(KeyCommand::Count)),
            (&[(0, '*'), (1, '5')], Command(KeyCommand::HearQuieter)),
            (&[(0, '*'), (1, 'A')], Unknown),
            (&[(0, '*'), (1, '8')], Command(KeyCommand::AdmitAll)),
        ] {
            assert_eq!(pressed(keys).last(), Some(&expected), "{keys:?}");
        }
    }
}
