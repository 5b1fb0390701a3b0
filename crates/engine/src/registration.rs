//! Trunks that want to be registered at: one REGISTER each, whose responses are not the call machine's.

use base::Timestamp;
use call::Registration;
use rand::RngCore;
use sip_api::{SipCommand, SipEvent};

use crate::destination::trunk_address;
use crate::event::EngineEvent;
use crate::{Effect, Engine};

/// Where we register, by the trunk's name.
#[derive(Debug)]
pub(crate) struct TrunkRegistration {
    trunk: String,
    registration: Registration,
}

impl Engine {
    /// Registers at the trunk of this name, which has credentials, from the next [`Input::TimerFired`](crate::Input) on.
    /// Whether there is such a trunk.
    pub fn register_at_trunk(&mut self, name: &str) -> bool {
        let found = self.directory.trunk_named(name).zip(self.directory.trunk_credentials(name));
        let Some((trunk, credentials)) = found else { return false };
        let registrar = trunk_address(&trunk.target);
        let random = &mut self.random;
        let registration =
            Registration::new(registrar, credentials.clone(), &self.config.domain, &mut || random.next_u64());
        self.registrations.push(TrunkRegistration { trunk: name.to_owned(), registration });
        true
    }

    pub(crate) fn registration_timeout(&self) -> Option<Timestamp> {
        self.registrations.iter().filter_map(|at| at.registration.poll_timeout()).min()
    }

    pub(crate) fn fire_registration_timers(&mut self) {
        for at in &mut self.registrations {
            if at.registration.poll_timeout().is_some_and(|due| due <= self.now) {
                let transaction = self.calls.allocate_transaction();
                let command = at.registration.handle_timeout(self.now, transaction);
                self.effects.extend(command.map(Effect::Sip));
            }
        }
    }

    /// Takes its leave of every trunk that knows us: it must not send calls here that nobody takes.
    pub(crate) fn stop_registrations(&mut self) {
        for at in &mut self.registrations {
            let transaction = self.calls.allocate_transaction();
            self.effects.extend(at.registration.end(transaction).map(Effect::Sip));
        }
    }

    /// Trunks that have not answered our leave.
    pub fn registrations_ending(&self) -> usize {
        self.registrations.iter().filter(|at| at.registration.is_ending()).count()
    }

    /// Takes what a registrar says; true if it was one.
    pub(crate) fn on_registrar(&mut self, event: &SipEvent) -> bool {
        let (SipEvent::Response { transaction, .. } | SipEvent::Failed { transaction, .. }) = event else {
            return false;
        };
        let mut registrations = self.registrations.iter_mut();
        let Some(at) = registrations.find(|at| at.registration.is_under_way(*transaction)) else { return false };
        let before = at.registration.status();
        let command: Option<SipCommand> = match event {
            SipEvent::Response { response, .. } => {
                let again = self.calls.allocate_transaction();
                at.registration.on_response(self.now, response, again)
            }
            _ => {
                at.registration.on_failed(self.now);
                None
            }
        };
        let (status, trunk) = (at.registration.status(), at.trunk.clone());
        self.effects.extend(command.map(Effect::Sip));
        if status != before {
            self.effects.push_back(Effect::Event(EngineEvent::TrunkRegistration { trunk, status }));
        }
        true
    }
}
