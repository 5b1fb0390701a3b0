//! Which addresses are those of trusted trunks.

use std::net::IpAddr;
use std::time::Duration;

use routing::TrunkTarget;

use crate::config::Config;

/// How long a trunk's name may take to resolve; the server does not wait longer for any of them.
const RESOLVE: Duration = Duration::from_secs(5);

/// The addresses of the trusted trunks. Names are asked for once, at start: an address that is believed must not change
/// behind the operator's back. A name without an address is logged, and its trunk is a stranger until the next start.
pub(crate) async fn peers(config: &Config) -> Vec<IpAddr> {
    let mut peers = Vec::new();
    for trunk in config.trunks.iter().filter(|trunk| trunk.trusted) {
        let Ok(target) = TrunkTarget::parse(&trunk.target) else { continue };
        let found = match target.address() {
            Some(address) => vec![address],
            None => addresses(&target).await,
        };
        if found.is_empty() {
            tracing::warn!(
                trunk = %trunk.name,
                target = %trunk.target,
                "a trusted trunk's name has no address: its requests are treated as anybody's; correct trunk.target or the \
                 DNS, and restart"
            );
        }
        peers.extend(found);
    }
    peers
}

async fn addresses(target: &TrunkTarget) -> Vec<IpAddr> {
    match tokio::time::timeout(RESOLVE, tokio::net::lookup_host((target.host.as_str(), target.port))).await {
        Ok(Ok(addresses)) => addresses.map(|address| address.ip()).collect(),
        Ok(Err(_)) | Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    #[tokio::test]
    async fn trunks_that_are_trusted_are_believed_by_address_and_by_name() {
        let trunk = |name, target, trusted| {
            format!("[[trunk]]\nname = \"{name}\"\ntarget = \"{target}\"\ntrusted = {trusted}\n")
        };
        let text = [
            trunk("address", "udp:192.0.2.1:5060", true),
            trunk("bracketed", "tls:[2001:db8::1]:5061", true),
            trunk("stranger", "udp:192.0.2.2:5060", false),
            trunk("unknown", "udp:nowhere.invalid:5060", true),
            trunk("name", "tcp:localhost:5060", true),
        ];
        let found = peers(&parse(&text.concat()).expect("valid")).await;
        assert_eq!(found[..2], ["192.0.2.1", "2001:db8::1"].map(|address| address.parse::<IpAddr>().expect("valid")));
        assert!(found.len() > 2 && found[2..].iter().all(IpAddr::is_loopback), "{found:?}");
    }
}
