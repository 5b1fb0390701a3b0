//! One leg of a conference: its media, what it says, what it hears, and what control said about it.

use base::LegId;
use mcu_api::{LegMedia, MediaFilter};

use crate::announcement::Announcement;
use crate::listener::{Listener, Personal};
use crate::voice::Voice;

pub(crate) struct Leg {
    pub(crate) id: LegId,
    pub(crate) media: media::Leg,
    pub(crate) ingress: MediaFilter,
    pub(crate) egress: MediaFilter,
    /// Control wants it in the mix, once it is connected.
    pub(crate) in_mix: bool,
    pub(crate) voice: Voice,
    pub(crate) listener: Listener,
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

    /// What a leg with this voice hears otherwise than others. Not a method, so that the listener can be borrowed beside.
    pub(crate) fn personal<'a>(id: LegId, voice: &'a Voice, announcement: &'a Announcement) -> Personal<'a> {
        Personal { talks: voice.speech.is_heard(), own: voice.own(), hidden: announcement.hidden_from(id) }
    }
}
