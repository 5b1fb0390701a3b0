//! Keeping a session alive by the session timer (RFC 4028): refreshing it, and ending it when nobody does.

use base::{Duration, LegId, Termination, TerminationReason};
use sip_api::{Headers, Method, NameAddr, Response};

use crate::dialogs::DialogId;
use crate::leg::{Ending, Leg, LegState};
use crate::message::push_abilities;
use crate::session_timer::{self, Refresher, SessionTimer};
use crate::timer::Timer;
use crate::transaction::{ClientTransaction, Failure, Purpose};
use crate::{Calls, Cx, ExtraHeaders};

/// How long after a failed refresh the next one is tried; the session's expiry bounds the attempts.
const RETRY: Duration = Duration::from_secs(10);

impl Calls {
    /// Starts the timers of the session anew, or stops them when there is no session timer.
    pub(crate) fn arm_session_timer(&mut self, cx: &mut Cx<'_>, id: LegId) {
        let timer = self.legs.get(&id).and_then(|leg| leg.session.timer);
        self.timers.clear(Timer::Refresh(id));
        self.timers.clear(Timer::Expiry(id));
        let Some(timer) = timer else { return };
        self.timers.set(Timer::Expiry(id), cx.now + timer.expire_after());
        if timer.refresher == Refresher::Us {
            self.timers.set(Timer::Refresh(id), cx.now + timer.refresh_after());
        }
    }

    /// Half of the session interval has passed.
    pub(crate) fn on_refresh_due(&mut self, id: LegId) {
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.session.refresh_wanted = true;
        }
        self.advance(id);
    }

    /// The peer is connected with somebody else now. Who does not say what he allows, or with what media he is here, is not
    /// told: for him a re-INVITE for a name alone may interrupt more than it says.
    pub(crate) fn identify(&mut self, id: LegId, headers: ExtraHeaders, from: Option<NameAddr>) {
        let can_be_told =
            |leg: &&mut Leg| leg.session.peer_updates || leg.session.peer_reinvites && leg.session.local.is_some();
        let Some(leg) = self.legs.get_mut(&id).filter(can_be_told) else { return self.ignore() };
        leg.session.identity = Some((headers, from));
        self.advance(id);
    }

    /// Refreshes by UPDATE without a body if the peer allows it, else by repeating our description in a re-INVITE. Either
    /// says with whom he is connected, where that is new.
    pub(crate) fn refresh(&mut self, id: LegId) {
        let policy = self.policy;
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| !leg.session.refreshing) else { return };
        let (Some(dialog), timer) = (leg.dialog, leg.session.timer) else { return };
        if !leg.session.peer_updates {
            let body = leg.session.local.clone();
            return self.send_reinvite(id, false, body);
        }
        leg.session.refresh_wanted = false;
        leg.session.refreshing = true;
        let identity = self.take_identity(id, dialog);
        self.send_in_dialog(Purpose::Update(id), dialog, Method::Update, |mut update| {
            push_abilities(&mut update.headers);
            session_timer::write_request(&mut update.headers, policy, timer);
            identity.into_iter().for_each(|(name, value)| update.headers.push(&name, value));
            update
        });
    }

    /// The headers that say with whom the peer is connected, where that is new; from now on `From` does so too, if it is to.
    pub(crate) fn take_identity(&mut self, id: LegId, dialog: DialogId) -> ExtraHeaders {
        let identity = self.legs.get_mut(&id).and_then(|leg| leg.session.identity.take());
        let (headers, from) = identity.unwrap_or_default();
        if let (Some(entry), Some(from)) = (self.dialogs.get_mut(dialog), from) {
            entry.dialog.rename(from);
        }
        headers
    }

    /// A 2xx to an UPDATE of ours.
    pub(crate) fn on_update_answer(&mut self, cx: &mut Cx<'_>, id: LegId, response: &Response) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.session.refreshing = false;
        if let Some(entry) = leg.dialog.and_then(|dialog| self.dialogs.get_mut(dialog)) {
            entry.dialog.refresh_target(&response.headers);
        }
        self.on_session_refreshed(cx, id, &response.headers);
        self.advance(id);
    }

    /// A 2xx to a request of ours that refreshes the session: it may change the session timer. A 2xx that says nothing of
    /// it does not end it: we go on refreshing alone, or nobody would notice that the peer is gone (RFC 4028 7.2 lets a
    /// UAC do so).
    pub(crate) fn on_session_refreshed(&mut self, cx: &mut Cx<'_>, id: LegId, headers: &Headers) {
        if let Some(leg) = self.legs.get_mut(&id) {
            let alone = leg.session.timer.map(|timer| SessionTimer { refresher: Refresher::Us, ..timer });
            leg.session.timer = session_timer::granted(headers).or(alone);
        }
        self.arm_session_timer(cx, id);
    }

    /// An UPDATE of ours failed.
    pub(crate) fn on_update_refusal(
        &mut self,
        cx: &mut Cx<'_>,
        id: LegId,
        mut transaction: ClientTransaction,
        failure: Failure,
    ) {
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| leg.state == LegState::Connected) else { return };
        if failure.ends_dialog() {
            return self.lose_peer(id, failure.status, failure.headers);
        }
        let status = failure.status.unwrap_or(500);
        if status == 422 && transaction.raise_interval(&failure.headers) {
            return self.send_again(transaction);
        }
        leg.session.refreshing = false;
        match status {
            491 => self.wait_after_glare(cx, id, None),
            405 | 501 => {
                leg.session.peer_updates = false;
                leg.session.refresh_wanted = true;
            }
            _ => self.refresh_later(cx, id),
        }
        self.advance(id);
    }

    /// The refresh failed, but the peer is there: once more after a while, until the session expires.
    pub(crate) fn refresh_later(&mut self, cx: &mut Cx<'_>, id: LegId) {
        if self.timers.is_set(Timer::Expiry(id)) {
            self.timers.set(Timer::Refresh(id), cx.now + RETRY);
        }
    }

    /// Nobody refreshed the session in time.
    pub(crate) fn on_session_expired(&mut self, cx: &mut Cx<'_>, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let termination = Termination::failed(TerminationReason::SessionExpired);
        let reason = vec!["SIP;cause=408;text=\"Session expired\"".to_owned()];
        if leg.state == LegState::Connected {
            return self.bye(id, &Ending { termination, reason }, None, Headers::new());
        }
        self.hang_up(cx, id, reason, termination);
    }
}
