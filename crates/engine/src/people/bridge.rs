//! One ordinary call between two people as the engine sees it: two SIP legs, and no media of ours.

use std::collections::{HashMap, VecDeque};

use base::{CallId, LegId, OfferId, Timestamp, UserUri};
use call::{Body, ExtraHeaders, Output};
use sip_api::{NameAddr, ServerTransactionId};

use crate::destination::Answerer;
use crate::people::transfer::Transfer;
use crate::people::way::Way;

/// One call between two people.
#[derive(Debug)]
pub(crate) struct Bridge {
    /// Who calls.
    pub(crate) caller: Party,
    /// Where the call is, has been and may go.
    pub(crate) way: Way,
    /// Whom it was for at first: a user, or a number as `tel:`.
    pub(crate) dialled: Option<UserUri>,
    /// What was dialled, as it was written.
    pub(crate) address: Option<String>,
    /// The ringing under way.
    pub(crate) ringing: Option<Ringing>,
    /// What the caller was last told before the answer.
    pub(crate) told: Option<(u16, Option<Body>)>,
    /// Of how many diversions the caller was told.
    pub(crate) diversions_told: usize,
    /// The leg whose early media the caller was given, and that; he would take another's for a mistake (RFC 3261
    /// 13.2.1).
    pub(crate) previewed: Option<(LegId, Body)>,
    /// The leg that answered, and when.
    pub(crate) answered: Option<(LegId, Timestamp)>,
    /// Who that is: a user, or a number as `tel:`.
    pub(crate) callee: Option<UserUri>,
    /// The Call-ID of his dialog.
    pub(crate) call_id: Option<String>,
    /// The name of the trunk he was reached by, if he was.
    pub(crate) trunk: Option<String>,
    /// When the INVITE came.
    pub(crate) since: Timestamp,
    /// Where the re-negotiation stands.
    pub(crate) exchange: Exchange,
    /// Whether the caller can be sent early media reliably (RFC 3262).
    pub(crate) reliable: bool,
    /// The last session description of the caller; none while he has yet to answer the callee's offer.
    pub(crate) callers_media: Option<Body>,
    /// The last session description of the callee, once he has answered.
    pub(crate) callees_media: Option<Body>,
    /// This call is what one of another call's ends is being transferred to; `None` once both are joined.
    pub(crate) referred: Option<Transfer>,
    /// The call that one end of this one is being transferred to.
    pub(crate) transfer: Option<CallId>,
    /// INFO requests of the callee that the caller has not answered, in order.
    pub(crate) infos_to_caller: VecDeque<ServerTransactionId>,
    /// INFO requests of the caller that the callee has not answered, in order.
    pub(crate) infos_to_callee: VecDeque<ServerTransactionId>,
}

/// The calling party, as the callee is shown him.
#[derive(Debug)]
pub(crate) struct Party {
    /// His leg.
    pub(crate) leg: LegId,
    /// The Call-ID of its dialog.
    pub(crate) call_id: Option<String>,
    /// Who he is.
    pub(crate) user: UserUri,
    /// How he is shown.
    pub(crate) display_name: Option<String>,
    /// The name of the trunk he came by, if he did.
    pub(crate) trunk: Option<String>,
    /// Whom he dialled.
    pub(crate) to: NameAddr,
    /// Headers of his INVITE that go along.
    pub(crate) headers: ExtraHeaders,
}

/// A set of legs that is being rung.
#[derive(Debug)]
pub(crate) struct Ringing {
    pub(crate) offer: OfferId,
    pub(crate) legs: Vec<Rung>,
    /// Somebody rang; another trunk is forbidden.
    pub(crate) rang: bool,
}

/// A leg that is rung.
#[derive(Debug)]
pub(crate) struct Rung {
    pub(crate) leg: LegId,
    pub(crate) who: Answerer,
    /// Who that is: a user, or a number as `tel:`.
    pub(crate) person: Option<UserUri>,
    pub(crate) trunk: Option<String>,
}

impl Ringing {
    /// Who is rung on a leg, if it is one of these.
    pub(crate) fn rung(&self, leg: LegId) -> Option<&Rung> {
        self.legs.iter().find(|rung| rung.leg == leg)
    }

    fn people(&self) -> impl Iterator<Item = &UserUri> {
        self.legs.iter().filter_map(|rung| rung.person.as_ref())
    }
}

/// One end of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Caller,
    Callee,
}

/// Where the re-negotiation of a call stands. One exchange at a time spans both legs (RFC 6337 in spirit).
#[derive(Debug)]
pub(crate) enum Exchange {
    /// None is under way.
    Idle,
    /// An offer of one side waits for the other side's answer.
    Relayed {
        /// Who offers.
        from: Side,
        /// What.
        offer: Body,
        /// He has taken it back; the other side must be put right when it has answered.
        withdrawn: bool,
    },
    /// A side asked for an offer and was given the other's last description.
    Asked(Side),
    /// A side is told of a description that changed without an offer of the other side.
    Told(Side),
    /// One end is being joined to the other end of a transfer.
    Joining,
    /// The audio of this leg's end is on its way to a group's caller; should it not get there, this call goes on.
    TakenOver(LegId),
    /// A device is to take the place of one end, and the other end thinks about its offer.
    Replacing {
        /// Its leg, while it wants to.
        by: Option<LegId>,
        /// Whose place.
        side: Side,
        /// Its offer.
        offer: Body,
    },
}

impl Side {
    /// The other end.
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Caller => Self::Callee,
            Self::Callee => Self::Caller,
        }
    }
}

impl Bridge {
    /// A call that has just been asked for. `way` says whom it is for.
    pub(crate) fn new(caller: Party, way: Way, callers_media: Option<Body>, now: Timestamp) -> Self {
        Self {
            caller,
            dialled: way.destination.person(),
            address: None,
            way,
            ringing: None,
            told: None,
            diversions_told: 0,
            previewed: None,
            answered: None,
            callee: None,
            call_id: None,
            trunk: None,
            since: now,
            exchange: Exchange::Idle,
            reliable: false,
            callers_media,
            callees_media: None,
            referred: None,
            transfer: None,
            infos_to_caller: VecDeque::new(),
            infos_to_callee: VecDeque::new(),
        }
    }

    /// Whether both ends talk to each other.
    pub(crate) fn is_joined(&self) -> bool {
        self.answered.is_some() && self.callers_media.is_some() && self.referred.is_none()
    }

    /// Who is at one end: a user, or a number as `tel:`.
    pub(crate) fn user(&self, side: Side) -> Option<&UserUri> {
        match side {
            Side::Caller => Some(&self.caller.user),
            Side::Callee => self.callee.as_ref(),
        }
    }

    /// The leg of one end; the callee has one once he has answered.
    pub(crate) fn leg(&self, side: Side) -> Option<LegId> {
        match side {
            Side::Caller => Some(self.caller.leg),
            Side::Callee => self.answered.map(|(leg, _)| leg),
        }
    }

    /// Which end a leg is; `None` for one that is rung.
    pub(crate) fn side(&self, leg: LegId) -> Option<Side> {
        [Side::Caller, Side::Callee].into_iter().find(|side| self.leg(*side) == Some(leg))
    }

    /// The last session description of one end.
    pub(crate) fn media(&self, side: Side) -> Option<&Body> {
        match side {
            Side::Caller => self.callers_media.as_ref(),
            Side::Callee => self.callees_media.as_ref(),
        }
    }

    /// Takes note of a session description.
    pub(crate) fn set_media(&mut self, side: Side, media: Body) {
        match side {
            Side::Caller => self.callers_media = Some(media),
            Side::Callee => self.callees_media = Some(media),
        }
    }

    /// The INFO requests that one end has not answered.
    pub(crate) fn infos_to(&mut self, side: Side) -> &mut VecDeque<ServerTransactionId> {
        match side {
            Side::Caller => &mut self.infos_to_caller,
            Side::Callee => &mut self.infos_to_callee,
        }
    }
}

/// Every call between two people, and whose each leg and offer is.
#[derive(Debug, Default)]
pub(crate) struct Bridges {
    calls: HashMap<CallId, Bridge>,
    legs: HashMap<LegId, CallId>,
    offers: HashMap<OfferId, CallId>,
    /// Who began or ended something in a call since that was asked last.
    stirred: Vec<UserUri>,
}

impl Bridges {
    /// Takes in a new call. Its number is of the row in which legs and offers are numbered, so that it is its own.
    pub(crate) fn insert(&mut self, call: CallId, bridge: Bridge) {
        self.stirred.push(bridge.caller.user.clone());
        self.calls.insert(call, bridge);
    }

    /// From now on a leg is this call's.
    pub(crate) fn claim(&mut self, leg: LegId, call: CallId) {
        self.legs.insert(leg, call);
    }

    /// Whose a leg is.
    pub(crate) fn call_of_leg(&self, leg: LegId) -> Option<CallId> {
        self.legs.get(&leg).copied()
    }

    /// A call that is not over.
    pub(crate) fn get(&self, call: CallId) -> Option<&Bridge> {
        self.calls.get(&call)
    }

    /// A call that is not over, to be changed.
    pub(crate) fn get_mut(&mut self, call: CallId) -> Option<&mut Bridge> {
        self.calls.get_mut(&call)
    }

    /// Takes a call out that is over. Its legs are still known until each has ended.
    pub(crate) fn remove(&mut self, call: CallId) -> Option<Bridge> {
        let bridge = self.calls.remove(&call)?;
        self.stirred.extend([Some(&bridge.caller.user), bridge.callee.as_ref()].into_iter().flatten().cloned());
        if let Some(ringing) = &bridge.ringing {
            self.offers.remove(&ringing.offer);
            self.stirred.extend(ringing.people().cloned());
        }
        Some(bridge)
    }

    /// Files the legs that are rung for a call; a ringing before it is forgotten.
    pub(crate) fn ring(&mut self, call: CallId, ringing: Ringing) {
        self.stop_ringing(call);
        self.stirred.extend(ringing.people().cloned());
        self.legs.extend(ringing.legs.iter().map(|rung| (rung.leg, call)));
        self.offers.insert(ringing.offer, call);
        if let Some(bridge) = self.calls.get_mut(&call) {
            bridge.ringing = Some(ringing);
        }
    }

    /// The ringing of a call is over. Its legs are still known until each has ended.
    pub(crate) fn stop_ringing(&mut self, call: CallId) -> Option<Ringing> {
        let bridge = self.calls.get_mut(&call)?;
        let ringing = bridge.ringing.take()?;
        self.offers.remove(&ringing.offer);
        self.stirred.extend(ringing.people().chain([&bridge.caller.user]).cloned());
        Some(ringing)
    }

    /// Forgets a leg that has ended.
    pub(crate) fn forget(&mut self, leg: LegId) {
        self.legs.remove(&leg);
    }

    /// The calls that are not over in the order of their beginning, so that equal inputs have equal effects.
    pub(crate) fn ids(&self) -> Vec<CallId> {
        let mut ids: Vec<CallId> = self.calls.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    /// In how many calls that were answered a user is.
    pub(crate) fn conversations_of(&self, user: &UserUri) -> usize {
        let is_in = |bridge: &&Bridge| bridge.caller.user == *user || bridge.callee.as_ref() == Some(user);
        self.calls.values().filter(|bridge| bridge.answered.is_some()).filter(is_in).count()
    }

    /// Whether he calls somebody who has not answered.
    pub(crate) fn calls(&self, user: &UserUri) -> bool {
        self.calls.values().any(|bridge| bridge.answered.is_none() && bridge.caller.user == *user)
    }

    /// Whether his phone rings for a call.
    pub(crate) fn rings(&self, user: &UserUri) -> bool {
        let mut ringing = self.calls.values().filter_map(|bridge| bridge.ringing.as_ref());
        ringing.any(|ringing| ringing.people().any(|person| person == user))
    }

    /// Who began or ended something in a call since this was asked last.
    pub(crate) fn take_stirred(&mut self) -> Vec<UserUri> {
        std::mem::take(&mut self.stirred)
    }

    /// How many calls are not over.
    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }

    /// How many legs have not ended.
    pub(crate) fn leg_count(&self) -> usize {
        self.legs.len()
    }

    /// The call that something of the call machine is about.
    pub(crate) fn call_of(&self, output: &Output) -> Option<CallId> {
        match output {
            Output::Ringing { offer, .. } | Output::Answered { offer, .. } | Output::OfferFailed { offer, .. } => {
                self.offers.get(offer).copied()
            }
            other => self.legs.get(&other.leg()?).copied(),
        }
    }
}
