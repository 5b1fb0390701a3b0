//! One machine's words for another's: tables without policy.

use base::TerminationReason;
use focus::FailureReason;

/// A media filter, from the Focus to the MCU.
pub(crate) const fn media_filter(filter: focus::MediaFilter) -> mcu_api::MediaFilter {
    match filter {
        focus::MediaFilter::Unblock => mcu_api::MediaFilter::Unblock,
        focus::MediaFilter::Block => mcu_api::MediaFilter::Block,
    }
}

/// A prompt, from the Focus to the MCU.
pub(crate) const fn prompt(prompt: focus::Prompt) -> mcu_api::Prompt {
    match prompt {
        focus::Prompt::EnterPin => mcu_api::Prompt::EnterPin,
        focus::Prompt::WrongPin => mcu_api::Prompt::WrongPin,
        focus::Prompt::Muted => mcu_api::Prompt::Muted,
        focus::Prompt::Unmuted => mcu_api::Prompt::Unmuted,
        focus::Prompt::Ending => mcu_api::Prompt::Ending,
    }
}

/// The SIP status that refuses a join.
pub(crate) const fn refusal_status(reason: FailureReason) -> u16 {
    match reason {
        FailureReason::Forbidden
        | FailureReason::AnonymousUsersNotAllowed
        | FailureReason::InvalidPasscode
        | FailureReason::ConferenceLocked
        | FailureReason::AlreadyAdmitted
        | FailureReason::InvalidRole => 403,
        FailureReason::InvalidUserEntity
        | FailureReason::UserDoesNotExist
        | FailureReason::EndpointDoesNotExist
        | FailureReason::MediaDoesNotExist => 404,
        FailureReason::MaximumMeetingSizeExceeded | FailureReason::TooManyEndpoints => 486,
        FailureReason::MediaNotSupported => 488,
        FailureReason::Timeout => 408,
        FailureReason::RequestCancelled => 487,
        FailureReason::ServerBusy => 503,
        FailureReason::ServerInternalError | FailureReason::OtherFailure => 500,
    }
}

/// What a `Warning` says of a refusal for want of room: which bound was met. No other refusal has one.
pub(crate) const fn bound_met(reason: FailureReason) -> Option<&'static str> {
    match reason {
        FailureReason::MaximumMeetingSizeExceeded => Some("The conference is full"),
        FailureReason::TooManyEndpoints => Some("You are in this conference with as many devices as one user may be"),
        _ => None,
    }
}

/// The `Reason` header of the CANCEL to somebody a conference calls (RFC 3326). Telephones count no missed call when it
/// says that somebody answered (cause 200), so nothing else may; nor what ends an answer that crosses the CANCEL.
pub(crate) fn cancel_reason(reason: TerminationReason) -> Vec<String> {
    match reason {
        TerminationReason::AnsweredElsewhere | TerminationReason::Replaced | TerminationReason::ServerStopping => {
            reason_header(reason)
        }
        _ => vec![NOT_WANTED.to_owned()],
    }
}

/// What somebody is told who was called and is not wanted any more, though nobody answered.
pub(crate) const NOT_WANTED: &str = "SIP;cause=487;text=\"Request terminated\"";

/// The `Reason` header of a BYE (RFC 3326), for endings the peer should know of.
pub(crate) fn reason_header(reason: TerminationReason) -> Vec<String> {
    let text = match reason {
        TerminationReason::Booted => "SIP;cause=403;text=\"Removed from the conference\"",
        TerminationReason::ConferenceEnded => "SIP;cause=200;text=\"Conference ended\"",
        TerminationReason::AnsweredElsewhere | TerminationReason::Replaced => {
            "SIP;cause=200;text=\"Call completed elsewhere\""
        }
        TerminationReason::MediaNotSupported => "SIP;cause=488;text=\"Not acceptable here\"",
        TerminationReason::SessionExpired | TerminationReason::MediaTimeout => "SIP;cause=408;text=\"No media\"",
        TerminationReason::ServerStopping => "SIP;cause=503;text=\"Server stopping\"",
        _ => return Vec::new(),
    };
    vec![text.to_owned()]
}
