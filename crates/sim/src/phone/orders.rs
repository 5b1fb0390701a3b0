//! What a client may take into its head to command.

use base::Role;
use c3p::conference_info::{ConferenceInfo, ConferenceView, EntityState, EntityView, InitialFilter, Media};
use c3p::{
    AddUser, Command, ConferenceKeys, DeleteConference, DeleteEndpoint, DeleteUser, EndpointKeys, FocusUri,
    GetConference, JoiningEndpoint, JoiningMethod, LobbyAccess, McuType, MediaFilter, MediaKeys, ModifyConference,
    ModifyConferenceLock, ModifyEndpointMedia, ModifyUserRoles, ModifyUsersMediaFilters, Participant, SessionType,
    SetLobbyAccess, UserKeys,
};

use super::Cx;
use super::client::{Commands, no_endpoint};
use crate::roster::RosterCopy;

/// What a client knows when it makes up a command.
pub(super) struct Orders<'a> {
    pub(super) focus: FocusUri,
    /// The client's own user.
    pub(super) own: String,
    /// Names the client's endpoints.
    pub(super) device: String,
    /// Who is in, if it watches.
    pub(super) roster: Option<RosterCopy>,
    pub(super) commands: &'a mut Commands,
}

impl Orders<'_> {
    /// Some command of a kind the seed has.
    pub(super) fn some(&mut self, cx: &mut Cx<'_>) -> Option<Command> {
        let kinds = [
            (cx.swarm.dial_outs, 12),
            (cx.swarm.ejections, 4),
            (cx.swarm.roles, 2),
            (cx.swarm.locks, 2),
            (cx.swarm.mutes, 3),
            (cx.swarm.mutes, 3),
            (cx.swarm.deletions, 1),
            (true, 2),
            (true, 1),
            (cx.swarm.locks, 4),
            (cx.swarm.mutes, 2),
            (cx.swarm.ejections, 2),
        ];
        let total: u64 = kinds.iter().filter(|kind| kind.0).map(|kind| kind.1).sum();
        let mut at = cx.dice.between(1, total);
        let chosen = kinds.iter().enumerate().find(|(_, (on, weight))| {
            let here = *on && at <= *weight;
            at = if *on { at.saturating_sub(*weight) } else { at };
            here
        });
        Some(match chosen?.0 {
            0 => self.dial_out(cx),
            1 => Command::DeleteUser(DeleteUser { keys: self.user_keys(cx), mcu_uri: None }),
            2 => Command::ModifyUserRoles(ModifyUserRoles { keys: self.user_keys(cx), role: some_role(cx) }),
            3 => self.lock(cx),
            4 => self.mute(cx)?,
            5 => self.mute_all(cx),
            6 => Command::DeleteConference(DeleteConference { keys: self.entity() }),
            9 => self.lobby(cx),
            10 => self.mute_some(cx),
            11 => self.delete_endpoint(cx)?,
            7 => Command::GetConference(GetConference { keys: self.entity(), certificate: None, mcu_uri: None }),
            _ => self.dial_in(),
        })
    }

    fn entity(&self) -> ConferenceKeys {
        ConferenceKeys::Entity(self.focus.to_string())
    }

    fn dial_out(&mut self, cx: &mut Cx<'_>) -> Command {
        self.commands.endpoints += 1;
        // Once in a while the client calls its own user's phone first, for which the other calls then wait.
        let leader = cx.dice.chance(0.2);
        let whom = if leader { self.own.clone() } else { cx.dice.pick(cx.people).cloned().unwrap_or_default() };
        let endpoint = JoiningEndpoint {
            entity: format!("{{{}-{}}}", self.device, self.commands.endpoints),
            session_type: Some(SessionType::Mcu(McuType::AudioVideo)),
            joining_method: Some(JoiningMethod::DialedOut),
            ..no_endpoint()
        };
        self.add_user(whom, endpoint)
    }

    /// Not a call, but the question where to call.
    fn dial_in(&self) -> Command {
        let endpoint = JoiningEndpoint {
            entity: format!("{{{}-in}}", self.device),
            session_type: Some(SessionType::Mcu(McuType::AudioVideo)),
            joining_method: Some(JoiningMethod::DialedIn),
            ..no_endpoint()
        };
        self.add_user(self.own.clone(), endpoint)
    }

    fn add_user(&self, whom: String, endpoint: JoiningEndpoint) -> Command {
        let user = Participant { entity: whom, display_text: None, role: None, endpoint: Some(endpoint) };
        let mcu_uri = Some(self.focus.mcu_uri(McuType::AudioVideo));
        Command::AddUser(Box::new(AddUser { conference: self.focus.to_string(), user, mcu_uri }))
    }

    fn user_keys(&self, cx: &mut Cx<'_>) -> UserKeys {
        let listed: Vec<String> = self.roster.iter().flat_map(|copy| copy.snapshot.users.keys().cloned()).collect();
        let among = if listed.is_empty() { cx.people } else { &listed };
        let user = cx.dice.pick(among).cloned().unwrap_or_default();
        UserKeys { conference: self.focus.to_string(), user }
    }

    fn lock(&self, cx: &mut Cx<'_>) -> Command {
        Command::ModifyConferenceLock(ModifyConferenceLock {
            conference: self.focus.to_string(),
            locked: cx.dice.chance(0.4),
            admission_policy: None,
            // From the first of these on the conference has a lobby.
            pstn_lobby_bypass: cx.dice.pick(&[None, Some(true), Some(false)]).copied().flatten(),
            autopromote: None,
        })
    }

    fn lobby(&self, cx: &mut Cx<'_>) -> Command {
        let access = if cx.dice.chance(0.7) { LobbyAccess::Granted } else { LobbyAccess::Denied };
        let waiting = self.roster.iter().flat_map(|copy| copy.snapshot.waiting());
        let mut users: Vec<String> = waiting.collect();
        if users.is_empty() {
            users.push(self.user_keys(cx).user);
        }
        Command::SetLobbyAccess(SetLobbyAccess { conference: self.focus.to_string(), users, access })
    }

    fn mute_some(&self, cx: &mut Cx<'_>) -> Command {
        let (one, another) = (self.user_keys(cx).user, self.user_keys(cx).user);
        let named = cx.dice.chance(0.5);
        Command::ModifyUsersMediaFilters(Box::new(ModifyUsersMediaFilters {
            conference: self.focus.to_string(),
            users: if named { vec![one] } else { Vec::new() },
            role: None,
            except: vec![another],
            ingress: Some(some_filter(cx)),
            egress: None,
            mcu_uri: Some(self.focus.mcu_uri(McuType::AudioVideo)),
        }))
    }

    fn delete_endpoint(&self, cx: &mut Cx<'_>) -> Option<Command> {
        let users = self.roster.iter().flat_map(|copy| &copy.snapshot.users);
        let endpoints: Vec<(String, String)> =
            users.flat_map(|(user, (_, all))| all.keys().map(|one| (user.clone(), one.clone()))).collect();
        let (user, endpoint) = cx.dice.pick(&endpoints)?.clone();
        let keys = EndpointKeys { conference: self.focus.to_string(), user, endpoint };
        Some(Command::DeleteEndpoint(DeleteEndpoint { keys, mcu_uri: None }))
    }

    fn mute(&self, cx: &mut Cx<'_>) -> Option<Command> {
        let users = self.roster.iter().flat_map(|copy| &copy.snapshot.users);
        let endpoints: Vec<(String, String)> =
            users.flat_map(|(user, (_, all))| all.keys().map(|one| (user.clone(), one.clone()))).collect();
        let (user, endpoint) = cx.dice.pick(&endpoints)?.clone();
        let mut media = Media::new("1");
        media.ingress = Some(some_filter(cx));
        let keys = MediaKeys { conference: self.focus.to_string(), user, endpoint, media: "1".to_owned() };
        let mcu_uri = Some(self.focus.mcu_uri(McuType::AudioVideo));
        Some(Command::ModifyEndpointMedia(Box::new(ModifyEndpointMedia { keys, media, mcu_uri })))
    }

    fn mute_all(&self, cx: &mut Cx<'_>) -> Command {
        let mcu_uri = self.focus.mcu_uri(McuType::AudioVideo);
        let filters = vec![InitialFilter::for_everybody(some_filter(cx))];
        let entity_state = EntityState { locked: None, media: Vec::new(), initial_filters: filters };
        let view = EntityView { entity: mcu_uri.clone(), state: c3p::State::Partial, entity_state: Some(entity_state) };
        let mut info = ConferenceInfo::new(self.focus.to_string(), c3p::State::Partial);
        info.view = Some(ConferenceView { state: c3p::State::Partial, entity_views: vec![view] });
        Command::ModifyConference(Box::new(ModifyConference { info, mcu_uri: Some(mcu_uri) }))
    }
}

fn some_filter(cx: &mut Cx<'_>) -> MediaFilter {
    if cx.dice.chance(0.5) { MediaFilter::Block } else { MediaFilter::Unblock }
}

fn some_role(cx: &mut Cx<'_>) -> Role {
    *cx.dice.pick(&[Role::Attendee, Role::Presenter, Role::Organizer]).expect("not empty")
}
