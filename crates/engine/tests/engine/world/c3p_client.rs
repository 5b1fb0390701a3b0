//! A C3P client: schedules conferences, joins a Focus, sends commands and reads the verdicts.

use c3p::conference_info::{
    ConferenceInfo, ConferenceView, Description, Endpoint, EntityState, EntityView, InitialFilter, Media,
};
use c3p::{
    AddUser, Command, Envelope, JoiningEndpoint, JoiningMethod, MediaFilter, MediaKeys, MediaStatus, ModifyConference,
    ModifyEndpointMedia, Outcome, Participant, ResponseBody, Role, SessionType, State, UserKeys,
};
use sip_api::{Method, Request, Response};

use super::{DOMAIN, World, answer_to, in_dialog, out_of_dialog, user};

pub(crate) const C3P: &str = "application/cccp+xml";

/// A user in the Focus of a conference.
pub(crate) struct Client {
    pub(crate) name: String,
    pub(crate) focus: String,
    invite: Request,
    ok: Response,
    cseq: u32,
}

/// An answer of the Focus: its SIP status, its `ms-diagnostics` header, and its C3P verdicts so far.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) diagnostics: Option<String>,
    pub(crate) verdicts: Vec<Outcome>,
}

pub(crate) fn address(name: &str) -> String {
    format!("sip:{name}@{DOMAIN}")
}

pub(crate) fn request(from: &str, to: &str, command: Command) -> c3p::Request {
    c3p::Request { envelope: Envelope { request_id: 7, from: from.to_owned(), to: to.to_owned() }, command }
}

/// SERVICE to a user's own Factory.
pub(crate) fn service(world: &mut World, name: &str, command: Command) -> Outcome {
    let factory = c3p::factory_uri(&user(name));
    let body = request(&address(name), &factory, command).to_xml();
    let service = out_of_dialog(Method::Service, &factory, name, "service").with_body(C3P, body);
    let transaction = world.request(service, Some(user(name)));
    let response = world.take_responses(transaction).pop().expect("a response");
    assert_eq!(response.status, 200, "{response:?}");
    c3p::parse_response(&response.body).expect("C3P").outcome
}

/// Schedules a conference of this user; gives its Focus URI.
pub(crate) fn schedule(world: &mut World, name: &str, id: &str) -> String {
    let mut info = ConferenceInfo::new("", State::Full);
    info.description = Some(Description { conference_id: Some(id.to_owned()), ..Description::default() });
    match service(world, name, Command::AddConference(Box::new(info))) {
        Outcome::Success(ResponseBody::AddConference(info)) => info.entity,
        other => panic!("not scheduled: {other:?}"),
    }
}

/// The INVITE by which a user joins a Focus.
pub(crate) fn join_request(name: &str, focus: &str) -> Request {
    let endpoint = JoiningEndpoint::new(endpoint_of(name));
    let user =
        Participant { entity: address(name), display_text: None, role: Some(Role::Attendee), endpoint: Some(endpoint) };
    let add_user = AddUser { conference: focus.to_owned(), user, mcu_uri: None };
    let body = request(&address(name), focus, Command::AddUser(Box::new(add_user))).to_xml();
    out_of_dialog(Method::Invite, focus, name, &format!("focus-{name}")).with_body(C3P, body)
}

/// The entity of a client's own endpoint.
pub(crate) fn endpoint_of(name: &str) -> String {
    format!("{{focus-{name}}}")
}

impl Client {
    /// Joins a Focus.
    pub(crate) fn join(world: &mut World, name: &str, focus: &str) -> Self {
        let invite = join_request(name, focus);
        let transaction = world.request(invite.clone(), Some(user(name)));
        let ok = world.take_responses(transaction).pop().expect("a response");
        assert_eq!(ok.status, 200, "{ok:?}");
        let verdict = c3p::parse_response(&ok.body).expect("C3P").outcome;
        assert!(matches!(verdict, Outcome::Success(ResponseBody::AddUser(_))), "{verdict:?}");
        world.ack(in_dialog(Method::Ack, &invite, &ok, 1));
        Self { name: name.to_owned(), focus: focus.to_owned(), invite, ok, cseq: 1 }
    }

    /// Leaves the Focus.
    pub(crate) fn leave(&mut self, world: &mut World) {
        self.cseq += 1;
        let bye = in_dialog(Method::Bye, &self.invite, &self.ok, self.cseq);
        let transaction = world.request(bye, None);
        assert_eq!(world.take_responses(transaction).pop().map(|response| response.status), Some(200));
    }

    /// Sends a command by INFO.
    pub(crate) fn command(&mut self, world: &mut World, command: Command) -> Answer {
        let body = request(&address(&self.name), &self.focus, command).to_xml();
        self.send(world, &body)
    }

    /// Sends any body by INFO.
    pub(crate) fn send(&mut self, world: &mut World, body: &str) -> Answer {
        let (status, diagnostics) = self.inform(world, body);
        Answer { status, diagnostics, verdicts: self.verdicts(world) }
    }

    /// Sends any body by INFO; gives status and `ms-diagnostics`, and leaves the verdicts where they are.
    pub(crate) fn inform(&mut self, world: &mut World, body: &str) -> (u16, Option<String>) {
        self.cseq += 1;
        let info = in_dialog(Method::Info, &self.invite, &self.ok, self.cseq).with_body(C3P, body.to_owned());
        let transaction = world.request(info, None);
        let response = world.take_responses(transaction).pop().expect("a response");
        let header = |name| response.headers.get(name).map(str::to_owned);
        (response.status, header("ms-diagnostics").or_else(|| header("ms-diagnostics-public")))
    }

    /// Answers the INFO requests of the Focus to this client; gives their verdicts.
    pub(crate) fn verdicts(&self, world: &mut World) -> Vec<Outcome> {
        let mut verdicts = Vec::new();
        loop {
            let (own, others): (Vec<_>, Vec<_>) = world
                .take_requests(&Method::Info)
                .into_iter()
                .partition(|(_, info)| info.call_id() == self.invite.call_id());
            world.put_back(others);
            if own.is_empty() {
                return verdicts;
            }
            for (transaction, info) in own {
                let response = c3p::parse_response(&info.body).expect("C3P");
                assert_eq!((response.envelope.request_id, &response.envelope.to), (7, &address(&self.name)));
                verdicts.push(response.outcome);
                let ok = answer_to(&info, 200);
                world.respond(transaction, ok);
            }
        }
    }

    /// The `addUser` that has the MCU call somebody.
    pub(crate) fn dial_out(&self, target: &str, endpoint: &str) -> Command {
        let endpoint = JoiningEndpoint {
            session_type: Some(SessionType::Mcu(c3p::McuType::AudioVideo)),
            endpoint_uri: Some(target.to_owned()),
            joining_method: Some(JoiningMethod::DialedOut),
            ..JoiningEndpoint::new(endpoint)
        };
        let user = Participant {
            entity: target.to_owned(),
            display_text: None,
            role: Some(Role::Attendee),
            endpoint: Some(endpoint),
        };
        let mcu_uri = Some(self.mcu_uri());
        Command::AddUser(Box::new(AddUser { conference: self.focus.clone(), user, mcu_uri }))
    }

    /// The `modifyEndpointMedia` that mutes somebody.
    pub(crate) fn mute(&self, entity: &str, endpoint: &str) -> Command {
        let mut media = Media::new("1");
        media.status = Some(MediaStatus::RecvOnly);
        media.ingress = Some(MediaFilter::Block);
        let keys = MediaKeys {
            conference: self.focus.clone(),
            user: entity.to_owned(),
            endpoint: endpoint.to_owned(),
            media: "1".to_owned(),
        };
        Command::ModifyEndpointMedia(Box::new(ModifyEndpointMedia { keys, media, mcu_uri: Some(self.mcu_uri()) }))
    }

    /// The keys of a user of this conference.
    /// Mutes or unmutes everybody, as a change of the audio MCU's state.
    pub(crate) fn mute_all(&self, ingress: MediaFilter) -> Command {
        let state = EntityState {
            initial_filters: vec![InitialFilter::for_everybody(ingress)],
            locked: None,
            media: Vec::new(),
        };
        let view = EntityView { entity: self.mcu_uri(), state: State::Partial, entity_state: Some(state) };
        let mut info = ConferenceInfo::new(self.focus.clone(), State::Partial);
        info.view = Some(ConferenceView { state: State::Partial, entity_views: vec![view] });
        Command::ModifyConference(Box::new(ModifyConference { info, mcu_uri: Some(self.mcu_uri()) }))
    }

    pub(crate) fn keys(&self, entity: &str) -> UserKeys {
        UserKeys { conference: self.focus.clone(), user: entity.to_owned() }
    }

    /// Subscribes to the roster.
    pub(crate) fn subscribe(&self, world: &mut World) {
        let mut subscribe = out_of_dialog(Method::Subscribe, &self.focus, &self.name, "subscribe");
        subscribe.headers.push("Event", "conference");
        subscribe.headers.push("Accept", "application/conference-info+xml");
        let transaction = world.request(subscribe, Some(user(&self.name)));
        let response = world.take_responses(transaction).pop().expect("a response");
        assert_eq!(response.status, 200, "{response:?}");
    }

    fn mcu_uri(&self) -> String {
        c3p::FocusUri::parse(&self.focus).expect("valid").mcu_uri(c3p::McuType::AudioVideo)
    }
}

/// What the subscriber was told since, document by document.
pub(crate) fn notified(world: &mut World) -> Vec<ConferenceInfo> {
    let bodies = world.take_bodies(&Method::Notify);
    // A user who missed the conference's call is told of that as well, in plain text.
    let documents = bodies.iter().filter(|body| body.starts_with('<'));
    documents.map(|body| c3p::conference_info::parse(body.as_bytes()).expect("a roster")).collect()
}

/// An endpoint as the last of some documents that names it has it.
pub(crate) fn endpoint<'a>(documents: &'a [ConferenceInfo], entity: &str) -> &'a Endpoint {
    let users = documents.iter().flat_map(|document| &document.users).flat_map(|users| &users.users);
    let mut endpoints = users.flat_map(|user| &user.endpoints).filter(|endpoint| endpoint.entity == entity);
    endpoints.next_back().unwrap_or_else(|| panic!("no {entity} in {documents:?}"))
}
