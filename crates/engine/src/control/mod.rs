//! How clients command a conference and follow it: C3P by SERVICE, INVITE and INFO, REFER, and roster subscriptions.

pub(crate) mod backlog;
pub(crate) mod c3p_command;
pub(crate) mod c3p_dialog;
pub(crate) mod factory;
pub(crate) mod multipart;
pub(crate) mod refer;
pub(crate) mod roster_document;
pub(crate) mod schedule;
pub(crate) mod subscription;
