//! A call that takes the place of one end of another (RFC 3891): somebody goes on with his own call on another device.

use base::{CallId, LegId, Termination, TerminationReason};
use call::{Body, Invitation};

use crate::Engine;
use crate::people::bridge::{Exchange, Side};
use crate::people::replaces::Replaces;

impl Engine {
    /// An INVITE with `Replaces`. It is never an ordinary call, whatever its Request-URI says.
    pub(crate) fn replace_leg(&mut self, leg: LegId, call: &Invitation) {
        match self.begin_replacement(leg, call) {
            Ok(()) => {}
            Err(401) => self.challenge(leg),
            Err(status) => self.reject(leg, status),
        }
    }

    fn begin_replacement(&mut self, leg: LegId, call: &Invitation) -> Result<(), u16> {
        let mut values = call.request.headers.get_all("Replaces");
        let replaces = values.next().and_then(Replaces::parse).filter(|_| values.next().is_none()).ok_or(400_u16)?;
        let Some(user) = &call.user else {
            return Err(if self.config.is_own_host(&call.from.uri.host) { 401 } else { 403 });
        };
        let replaced = self.calls.leg_of(&replaces.dialog).ok_or(481_u16)?;
        let known = self.bridges.call_of_leg(replaced).ok_or(481_u16)?;
        let bridge = self.bridges.get_mut(known).ok_or(481_u16)?;
        let side = bridge.side(replaced).filter(|_| bridge.is_joined()).ok_or(481_u16)?;
        if bridge.user(side) != Some(user) {
            return Err(403);
        }
        if replaces.early_only {
            return Err(486);
        }
        // Of two who want the same place the first has it (routing.md 2.6).
        let other = bridge.leg(side.other()).filter(|_| bridge.transfer.is_none()).ok_or(481_u16)?;
        if !matches!(bridge.exchange, Exchange::Idle) {
            return Err(481);
        }
        let offer = call.body.clone().filter(Body::describes_session).ok_or(488_u16)?;
        bridge.exchange = Exchange::Replacing { by: Some(leg), side, offer: offer.clone() };
        self.bridges.claim(leg, known);
        self.call(call::Input::Reoffer { leg: other, body: offer });
        Ok(())
    }

    /// The other end has answered, or refused, the description of the device that wants the place.
    pub(crate) fn finish_replacement(
        &mut self,
        call: CallId,
        by: Option<LegId>,
        side: Side,
        offer: Body,
        result: Result<Option<Body>, u16>,
    ) {
        let call_id = by.and_then(|by| self.calls.dialog_names(by)).map(|names| names.call_id);
        let Some(bridge) = self.bridges.get_mut(call) else { return };
        let replaced = bridge.leg(side);
        match (by, result) {
            (Some(by), Ok(Some(answer))) => {
                match side {
                    Side::Caller => bridge.caller.leg = by,
                    Side::Callee => {
                        bridge.answered = bridge.answered.map(|(_, since)| (by, since));
                        (bridge.call_id, bridge.trunk) = (call_id, None);
                    }
                }
                bridge.set_media(side, offer);
                bridge.set_media(side.other(), answer.clone());
                self.call(call::Input::Accept { leg: by, body: Some(answer), headers: Vec::new() });
                if let Some(replaced) = replaced {
                    self.hang_up_sip(replaced, Termination::completed(TerminationReason::Replaced));
                }
            }
            (Some(by), Ok(None)) => self.reject(by, 488),
            (Some(by), Err(status)) => self.reject(by, status),
            // He has given up meanwhile: the other end is told the old description again.
            (None, Ok(_)) => self.tell_media(call, side.other()),
            (None, Err(_)) => {}
        }
    }
}
