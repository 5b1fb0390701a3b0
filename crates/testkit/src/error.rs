//! Why a scripted step did not come to its end.

/// Why a scripted step did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A socket or file failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// What was waited for did not come.
    #[error("nothing came in time: {0}")]
    Timeout(String),
    /// The other side answered with a failure status.
    #[error("{method} was answered {status} {reason}")]
    Refused {
        /// The method of the request.
        method: String,
        /// The SIP status, 300 to 699.
        status: u16,
        /// The reason phrase.
        reason: String,
    },
    /// The other side broke the protocol, as far as the test kit looks.
    #[error("the peer's message is wrong: {0}")]
    Protocol(String),
    /// The agent was closed.
    #[error("the agent is closed")]
    Closed,
}
