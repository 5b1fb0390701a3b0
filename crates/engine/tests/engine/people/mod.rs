//! Calls between people.

mod bridge;
mod bridge_chaos;
mod profiles;
mod transfer;
