//! Response groups.

mod agents;
mod busy;
mod calls;
mod consultation;
mod crash;
mod ending;
mod identity;
mod records;
mod registered_anew;
mod settings;
mod taken_up;
mod transfer;
mod trunks;
mod workflow;
