//! Registrations over a restart: what is handed out to be kept, and what is handed back.

use std::sync::Arc;

use base::{Duration, UserUri};
use sip_api::Binding;

/// One registered device, with everything a later process needs to go on from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Whose device.
    pub user: UserUri,
    /// The device.
    pub binding: Binding,
    /// Call-ID of the REGISTER that made it.
    pub call_id: String,
    /// Its CSeq number: an older request changes nothing (RFC 3261 10.3).
    pub cseq: u32,
    /// How long it still lives.
    pub lifetime: Duration,
}

/// Where registrations are kept. What is lost here makes a phone unreachable after a restart until it registers again,
/// and nothing worse.
pub trait RegistrationKeeper: Send + Sync {
    /// These are a user's devices from now on; none = forget him. Must not wait.
    fn keep(&self, user: &UserUri, devices: Vec<Registration>);
}

/// What earlier processes kept, and where this one keeps its own.
#[derive(Clone, Default)]
pub struct Registrations {
    /// Devices that were registered when the earlier process ended. Those that came by datagrams are reachable at once.
    /// The connection of any other is gone: a new one is tried where the device registered from the host its Contact
    /// names, and it is forgotten when that does not answer.
    pub kept: Vec<Registration>,
    /// `None` = nowhere.
    pub keeper: Option<Arc<dyn RegistrationKeeper>>,
}
