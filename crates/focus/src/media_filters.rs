//! Who is heard and who hears: mute and unmute of one, of some, and of all (c3p.md 2.8).

use base::{EndpointId, LegId, Role, UserUri};

use crate::Focus;
use crate::command::{Failure, FailureReason, Outcome, UsersMediaFilters};
use crate::control::{FORBIDDEN, Rights};
use crate::document::{MediaFilter, SessionType};
use crate::output::{FocusEvent, Output, Prompt};
use crate::roster::Endpoint;

impl Focus {
    /// Mutes or unmutes one audio endpoint. An attendee may unmute himself again, whoever muted him.
    pub(crate) fn modify_endpoint_media(
        &mut self,
        rights: &Rights,
        user: &UserUri,
        endpoint: &EndpointId,
        ingress: Option<MediaFilter>,
        egress: Option<MediaFilter>,
    ) -> Result<Outcome, Failure> {
        if !rights.may_control(user) {
            return Err(FORBIDDEN);
        }
        let leg = self.find_endpoint(user, endpoint)?;
        if self.roster.endpoint(leg).is_some_and(|endpoint| endpoint.session != SessionType::AudioVideo) {
            return Err(FailureReason::MediaDoesNotExist.into());
        }
        self.set_filters(rights, leg, ingress, egress);
        Ok(Outcome::Done)
    }

    /// Mutes or unmutes everybody; attendees who come later are muted too until it is taken back. Who asks is never
    /// muted by it, and who muted himself is not opened to the room by somebody else's "unmute all".
    pub(crate) fn mute_all(
        &mut self,
        rights: &Rights,
        muted: bool,
        except_presenters: bool,
    ) -> Result<Outcome, Failure> {
        if !rights.leads() {
            return Err(FORBIDDEN);
        }
        self.mute_attendees = muted;
        let spared =
            |user: &UserUri, role| muted && (rights.is(user) || (except_presenters && role >= Role::Presenter));
        let affected = self.roster.users().filter(|(entity, user)| !spared(entity, user.role));
        let legs: Vec<LegId> = affected
            .flat_map(|(_, user)| user.endpoints())
            .filter(|endpoint| endpoint.session == SessionType::AudioVideo && (muted || !endpoint.self_muted))
            .map(|endpoint| endpoint.leg)
            .collect();
        let ingress = if muted { MediaFilter::Block } else { MediaFilter::Unblock };
        for leg in legs {
            self.set_filters(rights, leg, Some(ingress), None);
        }
        Ok(Outcome::Done)
    }

    /// The same for a set of users. Where everybody is meant, or every attendee, it holds for attendees who come later
    /// too. Who is named and is not in is passed over, but if none of them is in, it failed.
    pub(crate) fn modify_users_media_filters(
        &mut self,
        rights: &Rights,
        filters: &UsersMediaFilters,
    ) -> Result<Outcome, Failure> {
        if !rights.leads() {
            return Err(FORBIDDEN);
        }
        let is_known = |user: &UserUri| self.roster.user(user).is_some();
        if !filters.users.is_empty() && !filters.users.iter().any(is_known) {
            return Err(FailureReason::UserDoesNotExist.into());
        }
        let everybody = filters.users.is_empty() && filters.role.is_none_or(|role| role == Role::Attendee);
        if let Some(ingress) = filters.ingress.filter(|_| everybody) {
            self.mute_attendees = ingress == MediaFilter::Block;
        }
        for (leg, is_own, self_muted) in self.selected(rights, filters) {
            let ingress = match filters.ingress {
                Some(MediaFilter::Block) if is_own => None,
                Some(MediaFilter::Unblock) if self_muted && !is_own => None,
                ingress => ingress,
            };
            self.set_filters(rights, leg, ingress, filters.egress);
        }
        Ok(Outcome::Done)
    }

    /// The audio legs a set names, whether each is the requester's own, and whether its user muted it himself.
    fn selected(&self, rights: &Rights, filters: &UsersMediaFilters) -> Vec<(LegId, bool, bool)> {
        let is_meant = |entity: &UserUri, role: Role| {
            (filters.users.is_empty() || filters.users.contains(entity))
                && filters.role.is_none_or(|wanted| wanted == role)
                && !filters.except.contains(entity)
        };
        let is_audio = |endpoint: &&Endpoint| endpoint.session == SessionType::AudioVideo;
        let meant = self.roster.users().filter(|(entity, user)| is_meant(entity, user.role));
        meant
            .flat_map(|(entity, user)| user.endpoints().iter().map(move |endpoint| (entity, endpoint)))
            .filter(|(_, endpoint)| is_audio(endpoint))
            .map(|(entity, endpoint)| (endpoint.leg, rights.is(entity), endpoint.self_muted))
            .collect()
    }

    /// Sets the filters of an audio endpoint. A leg that is not up yet gets them when it is.
    fn set_filters(&mut self, rights: &Rights, leg: LegId, ingress: Option<MediaFilter>, egress: Option<MediaFilter>) {
        let (Some(user), Some(endpoint)) = (self.roster.user_of(leg), self.roster.endpoint(leg).cloned()) else {
            return;
        };
        let user = user.clone();
        let self_muted = match ingress {
            None => endpoint.self_muted,
            Some(MediaFilter::Block) => endpoint.self_muted || rights.is(&user),
            Some(MediaFilter::Unblock) => false,
        };
        let ingress = ingress.unwrap_or(endpoint.ingress);
        let egress = egress.unwrap_or(endpoint.egress);
        self.roster.update(leg, |endpoint| {
            (endpoint.ingress, endpoint.egress, endpoint.self_muted) = (ingress, egress, self_muted);
        });
        if (endpoint.ingress, endpoint.egress) == (ingress, egress) {
            return;
        }
        if endpoint.status.is_in() {
            self.outbox.push(Output::SetFilters { leg, ingress, egress });
        }
        if endpoint.status.is_in() && endpoint.ingress != ingress {
            let prompt = if ingress == MediaFilter::Block { Prompt::Muted } else { Prompt::Unmuted };
            self.outbox.push(Output::Prompt { leg, prompt });
        }
        let (endpoint, by) = (endpoint.id, rights.user.clone());
        self.outbox.event(FocusEvent::FiltersChanged { user, endpoint, leg, ingress, egress, by });
    }
}
