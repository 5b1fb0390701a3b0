//! Decisions and their reasons in an operator's words.

use std::borrow::Cow;
use std::fmt::{Display, Formatter, Result};

use crate::config::Method;
use crate::output::{CloseReason, Decision, Failure, Ineligible, Outcome, Rejection, Release, Withdrawal};

impl Display for Decision {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Offered { agent_group, method, agents, ready, .. } => {
                let names: Vec<String> =
                    agents.iter().map(|(agent, offer)| format!("{agent} (offer {})", offer.0)).collect();
                let (how, names) = (order(*method), names.join(", "));
                let rung = if agents.len() == 1 { "is rung" } else { "are rung" };
                write!(f, "{how}: of {ready} ready in the agent group {agent_group}, {names} {rung}")
            }
            Self::Waiting { ready: 0, .. } => f.write_str("nobody is ready; the caller waits"),
            Self::Waiting { ready, .. } => {
                write!(f, "all {ready} who are ready were tried or declined; the caller waits")
            }
            Self::OfferClosed { offer, agent, reason, .. } => {
                write!(f, "offer {} to {agent} is over: {reason}", offer.0)
            }
            Self::Won { agent, .. } => write!(f, "{agent} has the call; all other phones are silenced"),
            Self::Moved { group, why, .. } => write!(f, "the caller goes to the group {group}: {}", why.reason()),
            Self::Ended { outcome, .. } => write!(f, "the call is over: {outcome}"),
        }
    }
}

impl Decision {
    /// The same, where it is known who transfers the caller.
    pub(crate) fn in_words(&self, transferred_by: &str) -> String {
        match self {
            Self::Moved { .. } | Self::Ended { .. } => self.to_string().replace(SOMEBODY, transferred_by),
            decision => decision.to_string(),
        }
    }
}

/// Who transfers a caller, as far as a decision alone says it.
const SOMEBODY: &str = "an agent or a supervisor";

/// In which order a hunt method rings.
fn order(method: Method) -> &'static str {
    match method {
        Method::Parallel => "all at once",
        Method::Serial => "in the order of the list",
        Method::LongestIdle => "whoever is idle longest",
        Method::RoundRobin => "in turn",
        Method::Attendant => "all at once, whatever their presence",
    }
}

impl Display for CloseReason {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::Won => "the conversation has ended",
            Self::Lost => "the phone could not be reached after the restart",
            Self::Withdrawn(why) => return write!(f, "withdrawn, {why}"),
            Self::Released(why) => return write!(f, "hung up, {why}"),
            Self::Busy => "the phone is busy",
            Self::Declined => "the agent declined",
            Self::HungUp => "the agent answered and hung up at once",
            Self::Redirected => "it was diverted, which is not followed",
            Self::Unreachable => "the phone was not reached",
            Self::NoRoom => "the server had no room for its audio",
            Self::Failed(status) => return write!(f, "the phone refused with status {status}"),
        })
    }
}

impl Display for Withdrawal {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::LostRace => "another agent has the call",
            Self::Alert => "it rang as long as it may",
            Self::NoProvisional => "the phone did not say that it rings",
            Self::Diverting => "a server on the way diverts it",
            Self::CallerGone => "the caller has left or gone elsewhere",
            Self::QueueTimeout => "the caller has waited as long as he may",
            Self::Restart => "the server was restarted",
        })
    }
}

impl Display for Release {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::LateAnswer => "it was answered after it was withdrawn",
            Self::SecondAnswer => "a second device of the agent answered",
            Self::LostRace => "another agent has the call",
            Self::Machine => {
                "something else than the agent answered: it was diverted, or a telephone answered too soon"
            }
            Self::NotConfirmed => "the key that takes the call was not pressed",
            Self::BridgeFailed => "the media could not be joined",
            Self::CallerGone => "the caller has left or gone elsewhere",
            Self::TalkLimit => "it lasted longer than any conversation may",
            Self::Restart => "the server was restarted and could not keep the call",
        })
    }
}

impl Display for Outcome {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(&self.reason())?;
        match self {
            Self::Answered | Self::Abandoned | Self::Rejected { .. } | Self::Failed { .. } => Ok(()),
            Self::Overflowed { target }
            | Self::TimedOut { target }
            | Self::NoAgent { target }
            | Self::Closed { target }
            | Self::ChoseExit { target }
            | Self::Transferred { target } => match target {
                Some(target) => write!(f, "; he was sent to {target}"),
                None => f.write_str("; he was hung up"),
            },
        }
    }
}

impl Outcome {
    /// Why the caller is where he is, without where that is.
    fn reason(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Answered => "an agent talked with the caller",
            Self::Abandoned => "the caller left before anybody talked with him",
            Self::Rejected { why } => return format!("it was not taken, {why}").into(),
            Self::Failed { why } => return format!("it was lost, {why}").into(),
            Self::Overflowed { .. } => "the queue was full",
            Self::TimedOut { .. } => "the caller had waited as long as he may",
            Self::NoAgent { .. } => "no agent was there to take calls",
            Self::Closed { .. } => "the group was closed",
            Self::ChoseExit { .. } => "the caller chose so",
            Self::Transferred { .. } => "an agent or a supervisor transferred the caller",
        })
    }
}

impl Display for Rejection {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::UnknownGroup => "there is no such group",
            Self::TooManyCalls => "the groups have as many calls as they can hold",
        })
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::Restart => "the media could not be had again after a restart",
            Self::Loop => "it went from group to group too often",
            Self::GroupRemoved => "the group was removed",
            Self::ForwardFailed => "whom the caller was sent to was not reached",
            Self::Stopping => "the server was stopped",
            Self::NotConfirmed => "the caller's phone never confirmed the call",
            Self::NoRoom => "the server had no room for its audio",
            Self::NoCommonMedia => "the caller's phone has no audio that the server has",
        })
    }
}

impl Display for Ineligible {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::NotAMember => "he does not belong to the group, or is not active in it",
            Self::NotRegistered => "no device of his is registered",
            Self::DoNotDisturb => "he does not want to be disturbed",
            Self::DelegatesOnly => "only his delegates are to ring",
            Self::SignedOut => "he has not signed in",
            Self::OptedOut => "he has opted out",
            Self::Presence => "his presence says so",
            Self::ExternalCall => "he has a call outside the groups",
            Self::Calling => "he is calling somebody",
            Self::RungOutside => "his phone rings for another call",
        })
    }
}
