//! What is said to one leg: clips that arrive from another thread, and the place where a leg is in them.

use std::sync::{Arc, OnceLock};

use mixer::{Clip, FRAME_SAMPLES, Frame, fade_out};

/// Clips to be played one after another without a gap.
///
/// It is made empty and filled once, by whoever reads sound files; so a command that needs them need not wait for them,
/// and commands keep their order. The tick looks, and never waits.
#[derive(Debug, Default)]
pub struct Playlist {
    /// `None` inside: it cannot be played.
    items: OnceLock<Option<Box<[PlaylistItem]>>>,
}

/// One part of a playlist.
#[derive(Clone, Debug)]
pub enum PlaylistItem {
    /// A clip.
    Clip(Clip),
    /// So many samples of silence.
    Pause(usize),
}

impl Playlist {
    /// A playlist that waits for its clips.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says what is to be played; `None` when it cannot be. Only the first answer counts.
    pub fn fill(&self, items: Option<Vec<PlaylistItem>>) {
        let _ = self.items.set(items.map(Vec::into_boxed_slice));
    }

    /// Whether it can be played; `None` while that is not known.
    pub fn is_playable(&self) -> Option<bool> {
        self.items.get().map(Option::is_some)
    }

    /// The only clip, for what is played over and over; `None` while it is not there.
    pub(crate) fn single(&self) -> Option<&Clip> {
        match self.items.get()?.as_deref()? {
            [PlaylistItem::Clip(clip)] => Some(clip),
            _ => None,
        }
    }
}

impl PlaylistItem {
    fn len(&self) -> usize {
        match self {
            Self::Clip(clip) => clip.len(),
            Self::Pause(samples) => *samples,
        }
    }

    fn copy(&self, position: usize, out: &mut [i16]) {
        match self {
            Self::Clip(clip) => clip.copy(position, out),
            Self::Pause(_) => out.fill(0),
        }
    }
}

/// What is being said to one leg.
#[derive(Default)]
pub(crate) struct Player {
    playing: Option<Position>,
    /// What was broken off at this tick; it is faded out.
    broken_off: Option<Position>,
}

struct Position {
    list: Arc<Playlist>,
    item: usize,
    /// Samples of the item that were played.
    offset: usize,
}

/// What a tick of a player came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// Nothing is to be said now.
    Nothing,
    /// The frame holds sound.
    Sound,
    /// The frame holds the last of it.
    End,
    /// It cannot be played.
    Failed,
}

impl Player {
    /// Begins another playlist; true when one was broken off for it.
    pub(crate) fn play(&mut self, list: Arc<Playlist>) -> bool {
        let stopped = self.stop();
        self.playing = Some(Position { list, item: 0, offset: 0 });
        stopped
    }

    /// Breaks off; true when there was something.
    pub(crate) fn stop(&mut self) -> bool {
        let Some(playing) = self.playing.take() else { return false };
        if playing.has_begun() {
            self.broken_off = Some(playing);
        }
        true
    }

    /// Gives up what cannot be played; true when it did.
    pub(crate) fn give_up(&mut self) -> bool {
        self.playing.take_if(|playing| playing.list.is_playable() == Some(false)).is_some()
    }

    /// Whether there is sound for this tick.
    pub(crate) fn is_sounding(&self) -> bool {
        let here = self.playing.as_ref().is_some_and(|playing| matches!(playing.list.items.get(), Some(Some(_))));
        here || self.broken_off.is_some()
    }

    /// Reads the next 20 ms; `frame` is written only where the answer says that it holds something.
    pub(crate) fn read(&mut self, frame: &mut Frame) -> Said {
        if let Some(mut last) = self.broken_off.take() {
            last.read(frame);
            fade_out(frame);
            return Said::Sound;
        }
        let Some(playing) = &mut self.playing else { return Said::Nothing };
        let said = match playing.list.items.get() {
            None => return Said::Nothing,
            Some(None) => Said::Failed,
            Some(Some(_)) => {
                if playing.read(frame) {
                    return Said::Sound;
                }
                Said::End
            }
        };
        self.playing = None;
        said
    }
}

impl Position {
    fn has_begun(&self) -> bool {
        self.item > 0 || self.offset > 0
    }

    /// Fills a frame; false when it is the last one.
    fn read(&mut self, frame: &mut Frame) -> bool {
        let items = self.list.items.get().and_then(|items| items.as_deref()).unwrap_or_default();
        let mut filled = 0;
        while let Some(item) = items.get(self.item) {
            let length = (item.len() - self.offset).min(FRAME_SAMPLES - filled);
            item.copy(self.offset, &mut frame[filled..filled + length]);
            filled += length;
            self.offset += length;
            if self.offset == item.len() {
                (self.item, self.offset) = (self.item + 1, 0);
            }
            if filled == FRAME_SAMPLES {
                return self.item < items.len();
            }
        }
        frame[filled..].fill(0);
        false
    }
}

#[cfg(test)]
mod tests {
    use mixer::SILENCE;

    use super::*;

    fn clip(length: usize) -> PlaylistItem {
        PlaylistItem::Clip(Clip::new(vec![1_000; length]).expect("samples"))
    }

    fn list(items: Vec<PlaylistItem>) -> Arc<Playlist> {
        let list = Playlist::new();
        list.fill(Some(items));
        Arc::new(list)
    }

    #[test]
    fn parts_follow_each_other_without_a_gap() {
        let mut player = Player::default();
        assert!(!player.play(list(vec![clip(1_000), PlaylistItem::Pause(100), clip(2_000)])));
        let (mut frame, mut heard) = (SILENCE, Vec::new());
        let said: Vec<Said> = std::iter::from_fn(|| match player.read(&mut frame) {
            Said::Nothing => None,
            said => {
                heard.extend(frame);
                Some(said)
            }
        })
        .collect();
        assert_eq!(said, [Said::Sound, Said::Sound, Said::Sound, Said::End]);
        let sounding = |range: std::ops::Range<usize>| heard[range].iter().all(|&sample| sample == 1_000);
        assert!(sounding(300..700) && sounding(1_400..2_800));
        assert!(heard[1_000..1_100].iter().chain(&heard[3_100..]).all(|&sample| sample == 0));
    }

    #[test]
    fn what_is_not_there_yet_is_waited_for() {
        let (mut player, mut frame) = (Player::default(), SILENCE);
        let list = Arc::new(Playlist::new());
        player.play(Arc::clone(&list));
        assert_eq!((player.read(&mut frame), player.is_sounding()), (Said::Nothing, false));
        list.fill(None);
        assert_eq!((player.read(&mut frame), player.read(&mut frame)), (Said::Failed, Said::Nothing));
    }

    #[test]
    fn what_is_broken_off_dies_away() {
        let (mut player, mut frame) = (Player::default(), SILENCE);
        player.play(list(vec![clip(5_000)]));
        player.read(&mut frame);
        assert!(player.stop() && !player.stop());
        assert_eq!(player.read(&mut frame), Said::Sound);
        assert!(frame[0] > 990 && frame[959] == 0);
        assert_eq!(player.read(&mut frame), Said::Nothing);
    }
}
