//! Why a command failed: the `reason` of c3p.md 2.9.

/// Wire spelling of [`FailureReason::ConferenceExists`], which is not the lowerCamel form of its name [M-low].
pub(crate) const CONFERENCE_EXISTS: &str = "conferenceExistsAlready";

/// Wire spelling of [`FailureReason::ConferenceDoesNotExist`], which is not the lowerCamel form of its name [M-low].
pub(crate) const CONFERENCE_DOES_NOT_EXIST: &str = "conferenceDoesntExist";

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $text:expr),+ $(,)?) => {
        /// Why a command failed. Names are \[V\] up to [`FailureReason::OtherFailure`] and \[M\] after it; the wire
        /// spelling is the lowerCamel form of the name \[M\], but for two. Read without regard to case.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum FailureReason {
            $($(#[$doc])* $variant,)+
            /// A reason this crate has no name for, as it stood on the wire.
            Unknown(String),
        }

        impl FailureReason {
            /// The wire spelling.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Unknown(text) => text,
                }
            }

            /// Reads any text.
            pub fn parse(text: &str) -> Self {
                $(if text.eq_ignore_ascii_case($text) || text.eq_ignore_ascii_case(stringify!($variant)) {
                    return Self::$variant;
                })+
                Self::Unknown(text.to_owned())
            }

            /// Every named reason.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
        }
    };
}

reasons! {
    /// The anonymous user is already associated.
    AnonymousSecurityAssociationAlreadyEstablished = "anonymousSecurityAssociationAlreadyEstablished",
    /// Anonymous users may not enter.
    AnonymousUsersNotAllowed = "anonymousUsersNotAllowed",
    /// Somebody records already.
    AnotherRecordingInProgress = "anotherRecordingInProgress",
    /// There is no such conference.
    ConferenceDoesNotExist = CONFERENCE_DOES_NOT_EXIST,
    /// There is such a conference already.
    ConferenceExists = CONFERENCE_EXISTS,
    /// There is no such endpoint.
    EndpointDoesNotExist = "endpointDoesNotExist",
    /// The entity-settings are too large.
    EntitySettingsTooLarge = "entitySettingsTooLarge",
    /// Federated users may not enter.
    FederatedUsersNotAllowed = "federatedUsersNotAllowed",
    /// The requester may not do this.
    Forbidden = "forbidden",
    /// The admission policy is not one of the known.
    InvalidAdmissionPolicy = "invalidAdmissionPolicy",
    /// The conference id is not one.
    InvalidConferenceId = "invalidConferenceId",
    /// The certificate is not one.
    InvalidEncryptionKey = "invalidEncryptionKey",
    /// A secret was encrypted with another key.
    InvalidEncryptionKeyUsed = "invalidEncryptionKeyUsed",
    /// The expiry time is not acceptable.
    InvalidExpiryTime = "invalidExpiryTime",
    /// The passcode is wrong or not acceptable.
    InvalidPasscode = "invalidPasscode",
    /// The role is not one of the known.
    InvalidRole = "invalidRole",
    /// The user's entity is not one, or nobody is there.
    InvalidUserEntity = "invalidUserEntity",
    /// The schedule was changed by somebody else meanwhile.
    InvalidVersion = "invalidVersion",
    /// The organiser has too many conferences.
    MaximumConferencesExceeded = "maximumConferencesExceeded",
    /// The conference is full.
    MaximumMeetingSizeExceeded = "maximumMeetingSizeExceeded",
    /// No server of the wanted kind.
    McuTypeNotAvailable = "mcuTypeNotAvailable",
    /// There is no such media.
    MediaDoesNotExist = "mediaDoesNotExist",
    /// There is such media already.
    MediaExists = "mediaExists",
    /// The media cannot be carried.
    MediaNotSupported = "mediaNotSupported",
    /// The notification data is too large.
    NotificationDataTooLarge = "notificationDataTooLarge",
    /// The command, or an option of it, is not supported.
    NotSupported = "notSupported",
    /// The organiser's roaming data is too large.
    OrganizerRoamingDataTooLarge = "organizerRoamingDataTooLarge",
    /// Anything else.
    OtherFailure = "otherFailure",
    /// None of those to be let in waits in the lobby. \[V-later\]
    AlreadyAdmitted = "alreadyAdmitted",
    /// The conference wants a passcode and has none.
    PasscodeNotSet = "passcodeNotSet",
    /// Recording failed.
    RecordingFailed = "recordingFailed",
    /// The command was given up.
    RequestCancelled = "requestCancelled",
    /// The command is not understood.
    RequestMalformed = "requestMalformed",
    /// The command is too large.
    RequestTooLarge = "requestTooLarge",
    /// The server is busy.
    ServerBusy = "serverBusy",
    /// A defect of the server, or an MCU was lost.
    ServerInternalError = "serverInternalError",
    /// It took too long.
    Timeout = "timeout",
    /// The requester is not authenticated.
    Unauthorized = "unauthorized",
    /// There is no such user.
    UserDoesNotExist = "userDoesNotExist",
    /// There is such a user already.
    UserExists = "userExists",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_read_back_in_any_case() {
        for reason in FailureReason::ALL {
            assert_eq!(&FailureReason::parse(reason.as_str()), reason);
            assert_eq!(&FailureReason::parse(&reason.as_str().to_ascii_uppercase()), reason);
        }
    }

    #[test]
    fn the_regular_spelling_of_the_irregular_reasons_is_read_too() {
        assert_eq!(FailureReason::parse("conferenceDoesNotExist"), FailureReason::ConferenceDoesNotExist);
        assert_eq!(FailureReason::parse("ConferenceExists"), FailureReason::ConferenceExists);
        assert_eq!(FailureReason::parse("outOfPaper"), FailureReason::Unknown("outOfPaper".into()));
    }
}
