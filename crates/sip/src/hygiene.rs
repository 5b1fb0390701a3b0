//! Headers that only trusted peers may set (reliability.md A2, A3).

use sip_api::Headers;

/// Assertions of identity, and hints that change how a call is routed. From anybody else they are taken off before a
/// machine can believe them.
const TRUSTED_ONLY: [&str; 9] = [
    "P-Asserted-Identity",
    "Remote-Party-ID",
    "P-Charging-Vector",
    "P-Charging-Function-Addresses",
    "P-Served-User",
    "P-Profile-Key",
    "Ms-Sensitivity",
    "Ms-Target-Class",
    "Ms-Asserted-Identity",
];

/// What our own internal headers begin with.
const INTERNAL: &str = "X-RG-";

/// Takes off what this peer may not set.
pub(crate) fn strip(headers: &mut Headers, trusted: bool) {
    if trusted {
        return;
    }
    let internal = |name: &str| name.get(..INTERNAL.len()).is_some_and(|start| start.eq_ignore_ascii_case(INTERNAL));
    let foreign: Vec<String> = headers
        .iter()
        .filter(|(name, _)| internal(name) || TRUSTED_ONLY.iter().any(|other| other.eq_ignore_ascii_case(name)))
        .map(|(name, _)| name.to_owned())
        .collect();
    foreign.iter().for_each(|name| headers.remove(name));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assertions_of_strangers_are_taken_off() {
        let headers = Headers::new()
            .with("p-asserted-IDENTITY", "<sip:boss@x>")
            .with("Ms-Sensitivity", "private-no-diversion")
            .with("x-rg-offer", "1")
            .with("X-Other", "kept");
        let (mut stranger, mut peer) = (headers.clone(), headers.clone());
        strip(&mut stranger, false);
        strip(&mut peer, true);
        assert_eq!(stranger.iter().collect::<Vec<_>>(), [("X-Other", "kept")]);
        assert_eq!(peer, headers);
    }
}
