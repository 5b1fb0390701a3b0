//! One leg of a conference: its media, what it says, what it hears, and what control said about it.

use base::LegId;
use mcu_api::{LegMedia, MediaFilter};

use crate::announcement::Announcement;
use crate::listener::{Listener, Personal};
use crate::program::Program;
use crate::voice::Voice;
use crate::whisper::Whispers;

pub(crate) struct Leg {
    pub(crate) id: LegId,
    pub(crate) media: media::Leg,
    pub(crate) ingress: MediaFilter,
    pub(crate) egress: MediaFilter,
    /// Control wants it in the mix, once it is connected.
    pub(crate) in_mix: bool,
    pub(crate) voice: Voice,
    pub(crate) listener: Listener,
    /// What it hears while it hears no mix; `None` is what the conference gives to somebody who is alone.
    pub(crate) backdrop: Option<Program>,
    /// The only leg that hears it now; `None` = all.
    pub(crate) audience: Option<LegId>,
    /// Who shall hear it from the moment on at which its present audience no longer does.
    pub(crate) audience_next: Option<LegId>,
}

impl Leg {
    pub(crate) fn new(id: LegId, media: media::Leg) -> Self {
        Self {
            id,
            media,
            ingress: MediaFilter::Unblock,
            egress: MediaFilter::Unblock,
            in_mix: true,
            voice: Voice::new(),
            listener: Listener::new(),
            backdrop: None,
            audience: None,
            audience_next: None,
        }
    }

    /// Whether it is a part of the conference: connected and in the mix, be it on hold or muted.
    pub(crate) fn takes_part(&self) -> bool {
        self.in_mix && self.media.is_connected()
    }

    /// Whether it may be heard.
    pub(crate) fn is_open(&self, agreed: &LegMedia) -> bool {
        self.in_mix && self.ingress == MediaFilter::Unblock && agreed.direction.receives()
    }

    /// Turns to another audience as soon as the present one hears nothing of it any more, so that the voice fades from
    /// the one and into the other.
    pub(crate) fn change_audience(&mut self) {
        if !self.voice.is_on() {
            self.audience = self.audience_next;
        }
    }

    /// What this leg hears otherwise than others who hear the same program, and the listener that hears it.
    pub(crate) fn hearing<'a>(
        &'a mut self,
        announcement: &'a Announcement,
        whispers: &'a Whispers,
    ) -> (Personal<'a>, &'a mut Listener) {
        // Who whispers is not in the mix.
        let speaks_to_all = self.audience.is_none();
        let personal = Personal {
            talks: speaks_to_all && self.voice.speech.is_heard(),
            own: self.voice.own().filter(|_| speaks_to_all),
            hidden: announcement.hidden_from(self.id),
            whispered: whispers.to(self.id),
        };
        (personal, &mut self.listener)
    }
}
