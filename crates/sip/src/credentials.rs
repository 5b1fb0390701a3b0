//! Where the digest check finds its secrets.

use sip_api::DigestAlgorithm;

/// The hashed credentials of one user for one realm (RFC 7616 3.4.2), in lower-case hexadecimal. The password cannot
/// be had from them, but they are enough to impersonate the user in this realm, so they are secrets too.
#[derive(Clone, PartialEq, Eq)]
pub struct Ha1 {
    /// For `algorithm=SHA-256` (RFC 8760).
    pub sha256: String,
    /// For `algorithm=MD5`, which most phones still use.
    pub md5: String,
}

impl Ha1 {
    /// The hashes of a password, for whoever stores credentials.
    pub fn of_password(user: &str, realm: &str, password: &str) -> Self {
        let hash = |algorithm: DigestAlgorithm| algorithm.ha1(user, realm, password);
        Self { sha256: hash(DigestAlgorithm::Sha256), md5: hash(DigestAlgorithm::Md5) }
    }
}

impl std::fmt::Debug for Ha1 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ha1(..)")
    }
}

/// The source of credentials. It is asked on the path of every authenticated request, so it answers from memory.
pub trait Credentials: Send + Sync {
    /// The hashes of `user` (the name alone, without a domain) in `realm`; `None` when there is no such user.
    fn ha1(&self, user: &str, realm: &str) -> Option<Ha1>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hashes_are_those_of_rfc_7616_3_9_1() {
        let hashes = Ha1::of_password("Mufasa", "http-auth@example.org", "Circle of Life");
        assert_eq!(hashes.md5, "3d78807defe7de2157e2b0b6573a855f");
        assert_eq!(hashes.sha256, "7987c64c30e25f1b74be53f966b49b90f2808aa92faf9a00262392d7b4794232");
        assert_eq!(format!("{hashes:?}"), "Ha1(..)");
    }
}
