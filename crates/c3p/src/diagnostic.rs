//! The ms-diagnostics ids of the conferencing front end (c3p.md 2.10).

macro_rules! diagnostics {
    ($($variant:ident = $id:literal, $text:literal;)+) => {
        /// What was wrong with a request, as the `ms-diagnostics` header of a SIP response names it (MS-OCER 7.4, 8.4).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum Diagnostic {
            $(#[doc = $text] $variant = $id),+
        }

        impl Diagnostic {
            /// Every id.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The sentence for the `reason` parameter of the header.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
    };
}

diagnostics! {
    FromInvalid = 3000, "The C3P from attribute is wrong";
    ToInvalid = 3001, "The C3P to attribute is wrong";
    TargetUserInvalid = 3002, "The target user is invalid";
    ConfEntityInvalid = 3003, "The confEntity attribute is invalid";
    NotImplemented = 3004, "The C3P command is not implemented";
    McuTargetNotAllowed = 3005, "This request may not target an MCU";
    NotParseable = 3006, "The C3P document could not be parsed";
    AddUserInvalid = 3007, "The addUser body is invalid";
    AuthMethodNotAcceptable = 3008, "The access or authentication method is not acceptable";
    EndpointEntityInvalid = 3009, "The endpoint entity is malformed";
    SessionTimerMissing = 3010, "The session timer is missing";
    // Not raised: by this header a conferencing server tells the Focus where SIP reaches it. The mixer here is a part
    // of this server and is never addressed by SIP.
    McuContactUnusable = 3011, "The Ms-Mcu-Contact header is unusable";
    ConferenceUriInvalid = 3012, "The conference URI is invalid";
    McuUriInvalid = 3013, "The MCU URI is invalid";
    AuthorizationFailed = 3014, "The authorization failed";
    AttendeeDialOutForbidden = 3015, "Attendees may not dial out to a third party";
    RoleInvalid = 3016, "The role is invalid";
    AttendeePresenterDialOutForbidden = 3017, "An attendee may not dial out to an unknown presenter";
    JoiningMethodInvalid = 3018, "The joining-method must occur exactly once and be valid";
    AnonymousDestinationForbidden = 3019, "The destination is forbidden for anonymous users";
    AnonymousTargetInvalid = 3020, "Anonymous users may only reach focus and MCU URIs";
    AnonymousNotAuthorized = 3021, "This is not a conference URI, and anonymous users are not authorized";
    AnonymousWithoutFocus = 3022, "There is no focus at this server for the anonymous user";
}

impl Diagnostic {
    /// The number in the header.
    pub const fn id(self) -> u16 {
        self as u16
    }

    /// Whether the id may be shown outside the enterprise (`ms-diagnostics-public`).
    pub const fn is_public(self) -> bool {
        matches!(self, Self::NotImplemented)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_run_from_3000_to_3022_without_a_gap() {
        let ids: Vec<u16> = Diagnostic::ALL.iter().map(|diagnostic| diagnostic.id()).collect();
        assert_eq!(ids, (3000..=3022).collect::<Vec<u16>>());
    }
}
