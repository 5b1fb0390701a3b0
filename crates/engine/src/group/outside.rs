//! What agents do on the telephone outside the offers of groups: whoever talks, calls somebody or is being rung there is not
//! offered calls.

use base::UserUri;
use response_group::{AgentChange, Input, Unanswered};

use super::Groups;
use super::caller::Caller;
use crate::Engine;
use crate::conference::leg::{DialOut, Leg, LegKind, MediaLeg, MediaOrigin};

impl Groups {
    /// These began or ended something outside the groups.
    pub(crate) fn note_outside(&mut self, users: impl IntoIterator<Item = UserUri>) {
        self.stirred.extend(users);
    }

    /// How many calls of groups, and to their feature codes, a user is in without being an agent there.
    fn conversations_of(&self, user: &UserUri) -> usize {
        let is_he = |other: &UserUri| usize::from(other == user);
        let of = |caller: &Caller| {
            let target = caller.forward.as_ref().and_then(|forward| forward.person());
            let watching = caller.supervisors.iter().filter(|there| there.leg.is_some()).map(|there| &there.user);
            caller.user.iter().chain(target).chain(watching).map(is_he).sum::<usize>()
        };
        let errands = self.errands.values().map(|errand| is_he(&errand.user));
        self.callers.values().map(of).chain(errands).sum()
    }

    /// Whether his phone rings for a call that was sent to him, or that he is to supervise.
    fn rings(&self, user: &UserUri) -> bool {
        self.callers.values().any(|caller| {
            let forwarded = caller.forward.as_ref().is_some_and(|forward| forward.rings(user));
            forwarded || caller.supervisors.iter().any(|there| there.user == *user && there.is_rung())
        })
    }
}

impl Engine {
    /// A user began or ended something on the telephone that is no offer of a group. What he does is looked at when the machine
    /// is told something next, so that a call that goes from phone to phone is one call.
    pub(crate) fn note_outside(&mut self, user: UserUri) {
        self.groups.note_outside([user]);
    }

    /// The machine hears what agents do now before it hears anything else.
    pub(super) fn tell_outside(&mut self) {
        self.groups.stirred.extend(self.bridges.take_stirred());
        for user in std::mem::take(&mut self.groups.stirred) {
            let known = self.groups.domain.as_ref().and_then(|domain| domain.outside(&user));
            let Some(known) = known else { continue };
            let (count, unanswered) = self.outside_of(&user);
            if known != (count, unanswered) {
                let change = AgentChange::ExternalCalls { count, unanswered };
                self.groups.news.push_front(Input::AgentChanged { agent: user, change });
            }
        }
    }

    /// In how many conversations a user is, and what of his nobody has answered yet.
    fn outside_of(&self, user: &UserUri) -> (u32, Option<Unanswered>) {
        let meetings = self.legs.values().filter(|leg| talks(leg, user)).count();
        let others = self.bridges.conversations_of(user) + self.groups.conversations_of(user);
        let rings = || self.legs.values().filter_map(dial_out_of).any(|dial_out| dial_out.rings(user));
        let unanswered = if self.bridges.calls(user) {
            Some(Unanswered::Calling)
        } else if self.bridges.rings(user) || self.groups.rings(user) || rings() {
            Some(Unanswered::Ringing)
        } else {
            None
        };
        (u32::try_from(meetings + others).unwrap_or(u32::MAX), unanswered)
    }
}

fn talks(leg: &Leg, user: &UserUri) -> bool {
    let audio = matches!(leg.kind, LegKind::Media(_));
    audio && leg.peer == *user && leg.connected.is_some() && leg.ended.is_none()
}

fn dial_out_of(leg: &Leg) -> Option<&DialOut> {
    match &leg.kind {
        LegKind::Media(media) => match &**media {
            MediaLeg { origin: MediaOrigin::Outgoing(dial_out), .. } => Some(dial_out),
            _ => None,
        },
        LegKind::FocusDialog => None,
    }
}
