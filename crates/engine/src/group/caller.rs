//! Who calls a group: from his INVITE to his BYE.

use base::{CallId, ConferenceId, LegId, SubscriptionId, Termination, TerminationReason, UserUri};
use call::{Body, Invitation};
use mcu_api::{AloneAudio, McuCommand};
use response_group::{AnswerMode, Arrival, Failure, Input, OfferNo, Outcome, Rejection};
use sdp::LocalMedia;
use sip_api::{CONTACT_PLACEHOLDER, NameAddr, ServerTransactionId, SipUri};

use super::audio::Audio;
use super::forward::Forwarding;
use super::headers::{HOPS_HEADER, PASSED_ON};
use super::ledger::{GroupLegs, person};
use super::media::GroupMedia;
use super::supervisor::Supervisor;
use super::{AboutCaller, Role, WireLeg, WireRecord};
use crate::Engine;
use crate::digits::{self, Digits, Way};
use crate::people::bridge_setup::hops_left;

/// One caller of a group.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) leg: LegId,
    /// The Call-ID of its dialog.
    pub(super) call_id: String,
    /// Which user of ours he is, if any.
    pub(super) user: Option<UserUri>,
    /// His own conference.
    pub(super) conference: ConferenceId,
    pub(super) group: UserUri,
    /// He, as histories and records name him.
    pub(super) person: UserUri,
    /// He, as agents are shown him.
    pub(super) from: NameAddr,
    /// That is proved: by his account, or by the word of a trusted trunk.
    pub(super) proved: bool,
    /// Hops his INVITE may still go.
    pub(super) hops_left: u8,
    /// Headers of his INVITE that agents are shown.
    pub(super) passed_on: call::ExtraHeaders,
    /// His INVITE, until it is answered.
    invitation: Option<Box<Invitation>>,
    /// How he is to be answered.
    wanted: Option<AnswerMode>,
    /// The 200 has been sent.
    pub(super) accepted: bool,
    /// His phone has acknowledged the 200.
    pub(super) confirmed: bool,
    /// His dialog is in the journal.
    pub(super) recorded: bool,
    /// He has been given early media.
    previewed: bool,
    /// The MCU was asked for his ports.
    reserved: bool,
    pub(super) media: GroupMedia,
    pub(super) audio: Audio,
    /// Keys as they are reported, perhaps twice.
    digits: Digits,
    /// The seat that is offered to agents.
    pub(super) seat: Option<LegId>,
    /// Whom he talks with.
    pub(super) bridged: Option<OfferNo>,
    /// Where he is being sent, or was sent.
    pub(super) forward: Option<Forwarding>,
    pub(super) supervisors: Vec<Supervisor>,
    /// His `Supported` has `from-change` (RFC 4916 4.4).
    pub(super) follows_from: bool,
    /// Whom he was told that he talks with, when that is not the group.
    pub(super) shown: Option<UserUri>,
    /// He was told by 182 that he waits.
    queued: bool,
    /// The REFER of the agent who sends him elsewhere.
    pub(super) transfer: Option<SubscriptionId>,
    /// That agent.
    pub(super) sent_by: Option<UserUri>,
    /// The colleague's leg, where that agent has asked one first.
    pub(super) consulted: Option<LegId>,
    /// A supervisor sends him elsewhere and has not heard what became of that.
    pub(super) sent_by_supervisor: bool,
    /// The machine has done with him.
    pub(super) over: bool,
}

impl Caller {
    pub(super) fn new(leg: LegId, call_id: String, conference: ConferenceId, group: UserUri, from: NameAddr) -> Self {
        Self {
            leg,
            call_id,
            user: None,
            conference,
            group,
            person: person(&from.uri.to_string()),
            from,
            proved: false,
            hops_left: 70,
            passed_on: Vec::new(),
            invitation: None,
            wanted: None,
            accepted: false,
            confirmed: false,
            recorded: false,
            previewed: false,
            reserved: false,
            media: GroupMedia::default(),
            audio: Audio::default(),
            digits: Digits::default(),
            seat: None,
            bridged: None,
            forward: None,
            supervisors: Vec::new(),
            follows_from: false,
            shown: None,
            queued: false,
            transfer: None,
            sent_by: None,
            consulted: None,
            sent_by_supervisor: false,
            over: false,
        }
    }
}

impl Engine {
    /// Somebody calls a group. Anybody may, like any service number; who claims to be a user of ours must prove it.
    pub(crate) fn call_group(&mut self, leg: LegId, group: UserUri, call: Box<Invitation>) {
        let told = self.told_by_trunk(&call);
        if told.is_none() && (self.requester(&call).is_none() || self.claims_a_name_of_ours(&call)) {
            return self.challenge(leg);
        }
        let room = self.legs.len() + self.groups.leg_count() < self.config.limits.legs;
        if self.draining || self.groups.mute || !room {
            return self.refuse_for_want_of_room(leg);
        }
        let Some(hops_left) = hops_left(&call.request) else { return self.reject(leg, 483) };
        self.groups.next_call += 1;
        let id = CallId(self.groups.next_call);
        let conference = self.make_group_conference(id.0, AloneAudio::Music);
        let display_name = call.user.as_ref().and_then(|user| self.directory.user(user)?.display_name.clone());
        let proved = call.user.is_some() || told.is_some();
        let from = told.unwrap_or_else(|| call.from.clone());
        let own_name = from.display_name.as_ref().or(call.from.display_name.as_ref());
        let display_name = own_name.filter(|name| !name.trim().is_empty()).cloned().or(display_name);
        let named = || self.directory.name_of_number(&person(&from.uri.to_string()));
        let display_name = display_name.or_else(named);
        let from = NameAddr { display_name, ..from };
        let passed_on =
            |name: &&str| call.request.headers.get(name).map(|value| ((*name).to_owned(), value.to_owned()));
        let (user, person) = (call.user.clone(), call.user.clone().unwrap_or_else(|| person(&from.uri.to_string())));
        let caller = Caller {
            user: user.clone(),
            person: person.clone(),
            proved,
            hops_left,
            follows_from: call.request.headers.has_token("Supported", "from-change"),
            passed_on: PASSED_ON.iter().filter_map(passed_on).collect(),
            ..Caller::new(leg, call.request.call_id().to_owned(), conference, group.clone(), from)
        };
        let arrival = Arrival {
            call: id,
            reference: call.request.call_id().to_owned(),
            group,
            caller: person.to_string(),
            unix_seconds: i64::try_from(self.group_time().as_micros() / 1_000_000).unwrap_or(0),
            hops: call.request.headers.get(HOPS_HEADER).and_then(|hops| hops.parse().ok()).unwrap_or(0),
        };
        self.groups.callers.insert(id, Caller { invitation: Some(call), ..caller });
        self.groups.legs.insert(leg, Role::Caller(id));
        // An agent who calls is not rung, least of all for his own call.
        self.groups.stirred.extend(user);
        self.tell_groups(Input::CallerArrived(arrival));
    }

    /// Whether he calls himself somebody of our domain without having proved it; whether there is such a user is not told. A
    /// gateway may well write a telephone number so.
    fn claims_a_name_of_ours(&self, call: &Invitation) -> bool {
        let uri = &call.from.uri;
        let named = || uri.user.as_deref().is_some_and(|user| user.chars().any(char::is_alphabetic));
        call.user.is_none() && uri.host.eq_ignore_ascii_case(&self.config.domain) && named()
    }

    /// The machine wants the caller answered, in one of three ways.
    pub(super) fn answer_group_caller(&mut self, call: CallId, mode: AnswerMode) {
        let Some(caller) = self.groups.callers.get_mut(&call) else { return };
        caller.wanted = Some(mode);
        let leg = caller.leg;
        if mode == AnswerMode::OnAgent {
            self.call(call::Input::Progress { leg, status: 180, body: None, reliable: false });
        }
        self.reserve_caller(call);
    }

    /// Asks for the caller's ports, once.
    pub(super) fn reserve_caller(&mut self, call: CallId) {
        let Some(caller) = self.groups.callers.get_mut(&call) else { return };
        if caller.media.local.is_some() {
            return self.reply_to_caller(call);
        }
        if !std::mem::replace(&mut caller.reserved, true) {
            let (conference, leg) = (caller.conference.clone(), caller.leg);
            self.groups.ledger.open_leg(call, leg);
            self.mcu(McuCommand::ReserveLeg { conference, leg });
        }
    }

    /// The caller's ports are there.
    pub(super) fn on_caller_reserved(&mut self, call: CallId, local: LocalMedia) {
        let Some(caller) = self.groups.callers.get_mut(&call) else { return };
        caller.media = GroupMedia::new(local);
        if caller.invitation.is_none() {
            return self.reoffer_caller(call);
        }
        self.reply_to_caller(call);
    }

    fn reply_to_caller(&mut self, call: CallId) {
        match self.groups.callers.get(&call).and_then(|caller| caller.wanted) {
            Some(AnswerMode::Immediate) => self.accept_caller(call),
            Some(AnswerMode::EarlyMedia) => self.preview_caller(call),
            Some(AnswerMode::OnAgent) | None => {}
        }
    }

    /// The caller is about to talk with somebody: he must be answered by now.
    pub(super) fn ensure_accepted(&mut self, call: CallId) {
        let Some(caller) = self.groups.callers.get_mut(&call).filter(|caller| !caller.accepted) else { return };
        caller.wanted = Some(AnswerMode::Immediate);
        self.reserve_caller(call);
    }

    /// 183 with our answer: music before anybody pays.
    fn preview_caller(&mut self, call: CallId) {
        let Some(body) = self.describe_to_caller(call) else { return };
        let Some(caller) = self.groups.callers.get_mut(&call) else { return };
        if std::mem::replace(&mut caller.previewed, true) {
            return;
        }
        let (leg, agreed) = (caller.leg, caller.media.agreed());
        self.call(call::Input::Progress { leg, status: 183, body: Some(body), reliable: true });
        self.connect_group_leg(leg, agreed);
        self.play_to_caller(call);
    }

    /// The 200, with our answer, or with our offer if he made none.
    fn accept_caller(&mut self, call: CallId) {
        let Some(body) = self.describe_to_caller(call) else { return };
        let Some(caller) = self.groups.callers.get_mut(&call) else { return };
        if std::mem::replace(&mut caller.accepted, true) {
            return;
        }
        caller.invitation = None;
        let user = caller.group.user_part();
        let contact = format!("<sip:{user}@{CONTACT_PLACEHOLDER}>;automata;actor=\"attendant\"");
        let leg = caller.leg;
        let agent = self.identity_for(call);
        if let Some(caller) = self.groups.callers.get_mut(&call) {
            caller.shown.clone_from(&agent);
        }
        let identity = agent.map(|agent| ("P-Asserted-Identity".to_owned(), format!("<{agent}>")));
        let headers = std::iter::once(("Contact".to_owned(), contact)).chain(identity).collect();
        self.call(call::Input::Accept { leg, body: Some(body), headers });
        self.record_caller(call);
    }

    /// The agent whom the caller talks with, if his 200 waited for one and the group is not anonymous (RFC 5876 4.5).
    fn identity_for(&self, call: CallId) -> Option<UserUri> {
        let caller = self.groups.callers.get(&call)?;
        let group = self.group_conf(&caller.group)?;
        // His 200 leaves before the two are joined; whoever is asked for the key beside him makes it uncertain who won.
        let mut answered =
            self.groups.offers.values().filter(|offer| offer.order.call == call && offer.answered.is_some());
        let winner = answered.next().filter(|_| !group.anonymous)?;
        answered.next().is_none().then(|| winner.order.agent.clone())
    }

    /// Tells him inside his dialog with whom he is connected now: with an agent or the target he was sent to, or with the
    /// group again (RFC 4916). An anonymous group shows nobody.
    pub(super) fn show_partner(&mut self, call: CallId, partner: Option<&UserUri>) {
        let Some(caller) = self.groups.callers.get(&call).filter(|caller| caller.accepted && !caller.over) else {
            return;
        };
        if caller.shown.as_ref() != partner {
            self.tell_partner(call, partner);
        }
    }

    /// Tells him that, whatever he was told before.
    pub(super) fn tell_partner(&mut self, call: CallId, partner: Option<&UserUri>) {
        let Some(caller) = self.groups.callers.get(&call) else { return };
        if self.group_conf(&caller.group).is_none_or(|group| group.anonymous) {
            return;
        }
        let (leg, who) = (caller.leg, partner.unwrap_or(&caller.group).clone());
        let from = SipUri::parse(who.as_str()).ok().filter(|_| caller.follows_from).map(NameAddr::new);
        if let Some(caller) = self.groups.callers.get_mut(&call) {
            caller.shown = partner.cloned();
        }
        let headers = vec![("P-Asserted-Identity".to_owned(), format!("<{who}>"))];
        self.call(call::Input::Identify { leg, headers, from });
    }

    /// A caller who is answered only when an agent is there: 182 says that he waits and nobody rings, 180 that somebody does.
    pub(super) fn tell_caller_that_he_waits(&mut self, call: CallId, waits: bool) {
        let Some(caller) = self.groups.callers.get_mut(&call) else { return };
        let unanswered = caller.wanted == Some(AnswerMode::OnAgent) && !caller.accepted && !caller.over;
        if unanswered && std::mem::replace(&mut caller.queued, waits) != waits {
            let (leg, status) = (caller.leg, if waits { 182 } else { 180 });
            self.call(call::Input::Progress { leg, status, body: None, reliable: false });
        }
    }

    /// Writes his dialog down, once: before the 200 leaves, or, where that waits for a PRACK, with its ACK.
    fn record_caller(&mut self, call: CallId) {
        let Some(caller) = self.groups.callers.get_mut(&call).filter(|caller| !caller.recorded) else { return };
        let Some(dialog) = self.calls.dialog_record(caller.leg) else { return };
        caller.recorded = true;
        let about = AboutCaller {
            shown: Some(caller.from.to_string()),
            follows_from: caller.follows_from,
            passed_on: caller.passed_on.clone(),
        };
        self.groups.recorded.insert(caller.leg, WireLeg::Caller(call));
        self.record(WireRecord::CallerUp { call, dialog: Box::new(dialog), about });
    }

    /// Our answer to his offer; one that cannot be answered ends the call.
    fn describe_to_caller(&mut self, call: CallId) -> Option<Body> {
        let caller = self.groups.callers.get_mut(&call)?;
        if let Some(described) = caller.media.described() {
            return Some(described);
        }
        let offer = caller.invitation.as_ref()?.body.clone();
        match caller.media.answer(offer.as_ref()) {
            Ok(body) => Some(body),
            Err(refusal) => {
                let (leg, warning) = (caller.leg, refusal.warning(&self.config.domain));
                let headers = vec![("Warning".to_owned(), warning)];
                self.call(call::Input::Reject { leg, status: refusal.status(), headers, body: None });
                None
            }
        }
    }

    /// The ACK of a caller's 200: only now he is known to be where his INVITE said, and hears us.
    pub(super) fn on_group_confirmed(&mut self, leg: LegId, role: Role, body: Option<Body>) {
        match role {
            Role::Caller(call) => self.on_caller_confirmed(call, body),
            Role::Errand => self.on_errand_confirmed(leg, body),
            _ => {}
        }
    }

    fn on_caller_confirmed(&mut self, call: CallId, body: Option<Body>) {
        let Some(caller) = self.groups.callers.get_mut(&call) else { return };
        let first = !std::mem::replace(&mut caller.confirmed, true);
        let (leg, connected) = (caller.leg, first && caller.bridged.is_some());
        if caller.media.awaits_answer() && !caller.media.take_answer(body.as_ref()) {
            let termination = Termination::failed(TerminationReason::MediaNotSupported);
            return self.hang_up_sip(leg, termination);
        }
        let agreed = caller.media.agreed();
        if let Some(agreed) = &agreed {
            self.note_group_leg(call, GroupLegs { sip: leg, media: leg }, None, agreed);
        }
        self.connect_group_leg(leg, agreed);
        self.record_caller(call);
        if connected {
            self.tell_groups(Input::CallerConfirmed { call });
        }
        self.play_to_caller(call);
    }

    /// The caller's leg is over: the machine hears of it before anything else happens (at most 5 ms from his BYE to the
    /// CANCEL of the agents' phones).
    pub(super) fn on_caller_ended(&mut self, call: CallId, termination: Termination) {
        // A leg that ends before its 200 by anything but the caller's CANCEL was refused by ourselves.
        let refused = self.groups.callers.get(&call).is_some_and(|caller| !caller.accepted);
        let news = match termination.reason {
            TerminationReason::NoAck => Input::CallerNotConfirmed { call },
            TerminationReason::MediaNotSupported => Input::CallerRefused { call, why: Failure::NoCommonMedia },
            TerminationReason::ServiceUnavailable if refused => Input::CallerRefused { call, why: Failure::NoRoom },
            _ => Input::CallerLeft { call },
        };
        self.end_caller(call, Some(termination.reason), news);
    }

    /// The end of a caller's leg; `left` is how he left, unless his phone was lost with an earlier process, and `news` what it
    /// means to the machine, if that has not done with him.
    pub(super) fn end_caller(&mut self, call: CallId, left: Option<TerminationReason>, news: Input) {
        let Some(caller) = self.groups.callers.get(&call) else { return };
        let (over, conference) = (caller.over, caller.conference.clone());
        self.end_forward(call);
        self.groups.attaching.remove(&call);
        self.end_supervisors(call);
        self.mcu(McuCommand::EndConference { conference });
        self.groups.seats.retain(|_, seat| seat.call != call);
        let seats = self.groups.legs.extract_if(|_, role| *role == Role::Seat(call));
        for (seat, _) in seats {
            self.groups.lost.remove(&seat);
        }
        if over {
            self.forget_caller(call);
            self.settle_page(call);
            return;
        }
        if let Some(left) = left {
            self.note_left(call, left);
        }
        self.tell_groups(news);
    }

    fn forget_caller(&mut self, call: CallId) {
        let Some(caller) = self.groups.callers.remove(&call) else { return };
        self.groups.stirred.extend(caller.user);
        self.forget_supervisors(call, caller.supervisors);
    }

    /// The machine has done with a caller: his leg may go on (he was forwarded) or ends by what was said before.
    pub(super) fn close_caller(&mut self, call: CallId) {
        let Some(caller) = self.groups.callers.get_mut(&call) else { return };
        caller.over = true;
        if !self.groups.legs.contains_key(&caller.leg) {
            self.forget_caller(call);
        }
    }

    /// Ends the caller's leg, after a prompt if there is one and he can hear it.
    pub(super) fn disconnect_caller(
        &mut self,
        call: CallId,
        outcome: &Outcome,
        prompt: Option<String>,
        language: Option<String>,
    ) {
        let reason = match outcome {
            Outcome::Failed { why: Failure::Stopping } => TerminationReason::ServerStopping,
            _ => TerminationReason::Departed,
        };
        let Some(caller) = self.groups.callers.get_mut(&call) else { return };
        caller.over = true;
        let leg = caller.leg;
        if !caller.accepted {
            return self.refuse_group_caller(leg, outcome);
        }
        match prompt {
            Some(prompt) => self.say_farewell(call, prompt, language, Termination::completed(reason)),
            None => self.hang_up_sip(leg, Termination::completed(reason)),
        }
    }

    fn refuse_group_caller(&mut self, leg: LegId, outcome: &Outcome) {
        match outcome {
            Outcome::Rejected { why: Rejection::UnknownGroup } => self.reject(leg, 404),
            Outcome::Rejected { why: Rejection::TooManyCalls } | Outcome::Failed { why: Failure::Stopping } => {
                self.refuse_for_want_of_room(leg)
            }
            Outcome::Overflowed { .. } => self.reject(leg, 486),
            Outcome::Failed { why: Failure::Loop } => self.reject(leg, 482),
            _ => self.reject(leg, 480),
        }
    }

    /// A digit by telephone-event, from a caller, an agent or a feature call.
    pub(super) fn on_group_digit(&mut self, leg: LegId, digit: char) {
        match self.groups.role(leg) {
            Some(Role::Caller(call)) => self.on_caller_digit(call, Way::Event, digit),
            Some(Role::Seat(_)) => self.on_agent_digit(leg, digit),
            _ => {}
        }
    }

    fn on_caller_digit(&mut self, call: CallId, way: Way, digit: char) {
        let now = self.now;
        let caller = self.groups.callers.get_mut(&call);
        if caller.is_some_and(|caller| caller.digits.is_new(now, way, digit)) {
            self.tell_groups(Input::CallerDigit { call, digit });
        }
    }

    /// A digit by INFO, for phones without telephone-events.
    pub(super) fn on_group_info(&mut self, role: Role, id: ServerTransactionId, body: Option<Body>) {
        let body = body.filter(digits::is_digit_body);
        let digit = body.as_ref().and_then(digits::digit_of);
        let status = match (&body, digit) {
            (_, Some(_)) => 200,
            (Some(_), None) => 400,
            (None, None) => 415,
        };
        self.call(call::Input::RespondInfo { id, status, headers: Vec::new() });
        let Some(digit) = digit else { return };
        match role {
            Role::Caller(call) => self.on_caller_digit(call, Way::Info, digit),
            // The key that takes a call may come twice: the second time there is nothing left to take.
            Role::Device(offer) => self.confirm_offer(offer, digit),
            _ => {}
        }
    }

    /// Nothing arrived on a leg that should send: its person is gone.
    pub(super) fn on_group_silence(&mut self, leg: LegId) {
        let termination = Termination::failed(TerminationReason::MediaTimeout);
        if let Some(sip) = self.sip_leg_of(leg) {
            self.hang_up_sip(sip, termination);
        }
    }

    /// The media side lost a leg, or could not make it.
    pub(super) fn on_group_media_lost(&mut self, leg: LegId) {
        let termination = Termination::failed(TerminationReason::McuLost);
        self.groups.lost.insert(leg);
        match self.groups.role(leg) {
            Some(Role::Caller(call)) => {
                let lost = self.groups.callers.get(&call).map(|caller| (caller.leg, caller.accepted));
                match lost {
                    Some((leg, false)) => self.refuse_for_want_of_room(leg),
                    Some((leg, true)) => self.hang_up_sip(leg, termination),
                    None => {}
                }
            }
            Some(Role::Seat(_)) => self.on_seat_lost(leg, termination),
            Some(Role::Errand) => self.hang_up_sip(leg, termination),
            _ => {}
        }
    }
}
