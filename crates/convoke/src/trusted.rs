//! Which addresses are those of trusted trunks.

use std::net::{IpAddr, SocketAddr};

use routing::{TrunkTarget, TrunkTransport};
use sip_api::Transport;

use crate::config::Config;

/// The addresses of the trusted trunks. Names are asked for once, at start: an address that is believed must not change
/// behind the operator's back. A name without an address is logged, and its trunk is a stranger until the next start.
pub(crate) async fn peers(config: &Config) -> Vec<IpAddr> {
    let mut peers = Vec::new();
    for trunk in config.trunks.iter().filter(|trunk| trunk.trusted) {
        let Ok(target) = TrunkTarget::parse(&trunk.target) else { continue };
        let found = addresses(&target).await;
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

/// Where the trunks are, so that records can name them: all that are given by address, and of the others those that are
/// trusted.
pub(crate) async fn places(config: &Config) -> Vec<(String, SocketAddr)> {
    let mut places = Vec::new();
    for trunk in &config.trunks {
        let Ok(target) = TrunkTarget::parse(&trunk.target) else { continue };
        if !trunk.trusted && target.host.trim_matches(['[', ']']).parse::<IpAddr>().is_err() {
            continue;
        }
        let place = |address| (trunk.name.clone(), SocketAddr::new(address, target.port.unwrap_or(0)));
        places.extend(addresses(&target).await.into_iter().map(place));
    }
    places
}

/// The addresses a trunk's requests may come from; none when its name leads nowhere.
pub(crate) async fn addresses(target: &TrunkTarget) -> Vec<IpAddr> {
    let transport = match target.transport {
        TrunkTransport::Udp => Transport::Udp,
        TrunkTransport::Tcp => Transport::Tcp,
        TrunkTransport::Tls => Transport::Tls,
    };
    sip::addresses_of(transport, &target.host, target.port).await
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
