//! The namespaces of c3p.md 1.4, and the prefixes this crate writes for them.

/// A namespace this crate knows, or that there is none, or that it is a foreign one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Namespace {
    /// No namespace: plain attributes, and the app-invite body.
    None,
    /// C3P envelope and commands.
    C3p,
    /// RFC 4575 conference-info.
    Ci,
    /// The separator that stands before each batch of later additions.
    Cis,
    /// Extensions of C3P.
    Mscp,
    /// Extensions of conference-info.
    Msci,
    /// Later extensions of conference-info.
    Msci2,
    /// Audio and video extensions of conference-info.
    Msav,
    /// Any other; its elements and attributes are skipped.
    Foreign,
}

/// Namespaces with their prefix and URI.
const KNOWN: [(Namespace, &str, &str); 7] = [
    (Namespace::C3p, "c3p", "urn:ietf:params:xml:ns:cccp"), // [V]
    (Namespace::Ci, "ci", "urn:ietf:params:xml:ns:conference-info"), // [V]
    (Namespace::Cis, "cis", "urn:ietf:params:xml:ns:conference-info-separator"), // [V]
    (Namespace::Mscp, "mscp", "http://schemas.microsoft.com/rtc/2005/08/cccpextensions"), // [V]
    (Namespace::Msci, "msci", "http://schemas.microsoft.com/rtc/2005/08/confinfoextensions"), // [V]
    (Namespace::Msci2, "msci2", "http://schemas.microsoft.com/rtc/2008/12/confinfoextensions"), // [V]
    (Namespace::Msav, "msav", "http://schemas.microsoft.com/rtc/2005/08/avconfinfoextensions"), // [M]
];

impl Namespace {
    /// The namespace of a URI. URIs are compared byte for byte (Namespaces in XML 1.0, section 2.3).
    pub(crate) fn from_uri(uri: &str) -> Self {
        KNOWN.iter().find(|(_, _, known)| *known == uri).map_or(Self::Foreign, |(namespace, _, _)| *namespace)
    }

    /// The prefix written for it, and its URI; `None` for those that are never written with a prefix.
    pub(crate) fn declaration(self) -> Option<(&'static str, &'static str)> {
        KNOWN.iter().find(|(namespace, _, _)| *namespace == self).map(|(_, prefix, uri)| (*prefix, *uri))
    }

    /// Whether this crate writes a namespace with that prefix.
    pub(crate) fn owns_prefix(prefix: &str) -> bool {
        KNOWN.iter().any(|(_, known, _)| *known == prefix)
    }

    /// Whether that is what this crate writes the prefix for.
    pub(crate) fn declares(prefix: &str, uri: &str) -> bool {
        KNOWN.iter().any(|(_, known, known_uri)| *known == prefix && *known_uri == uri)
    }

    /// A mask with one bit for this namespace.
    pub(crate) const fn bit(self) -> u16 {
        1 << self as u8
    }
}
