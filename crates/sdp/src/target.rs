//! Addresses media is never sent to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether media must never be sent to this address (reliability.md A15): unspecified and this-network, loopback
/// (unless our own address is loopback), link-local with the metadata services on it, multicast, broadcast, reserved,
/// and the same inside IPv6 forms that carry an IPv4 address.
pub fn is_forbidden_target(target: IpAddr, local: IpAddr) -> bool {
    let own_is_loopback = match embedded_v4(local) {
        Some(local) => local.is_loopback(),
        None => local.is_loopback(),
    };
    match (target, embedded_v4(target)) {
        (_, Some(address)) => is_forbidden_v4(address, own_is_loopback),
        (IpAddr::V6(address), None) => is_forbidden_v6(address, own_is_loopback),
        (IpAddr::V4(address), None) => is_forbidden_v4(address, own_is_loopback),
    }
}

fn is_forbidden_v4(address: Ipv4Addr, loopback_allowed: bool) -> bool {
    let [first, ..] = address.octets();
    first == 0
        || (address.is_loopback() && !loopback_allowed)
        || address.is_link_local()
        || address.is_multicast()
        // 240/4 is reserved and 255.255.255.255 is broadcast.
        || first >= 240
}

fn is_forbidden_v6(address: Ipv6Addr, loopback_allowed: bool) -> bool {
    address.is_unspecified()
        || (address.is_loopback() && !loopback_allowed)
        || address.is_multicast()
        || address.is_unicast_link_local()
        // fec0::/10, the deprecated site-local range.
        || (address.segments()[0] & 0xffc0) == 0xfec0
}

/// The IPv4 address an IPv6 one stands for: mapped (`::ffff:a.b.c.d`), compatible (`::a.b.c.d`), translated
/// (`64:ff9b::a.b.c.d`) and 6to4 (`2002:...`).
fn embedded_v4(address: IpAddr) -> Option<Ipv4Addr> {
    let address = match address {
        IpAddr::V4(address) => return Some(address),
        IpAddr::V6(address) => address,
    };
    let segments = address.segments();
    let join = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Some(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        [0, 0, 0, 0, 0, 0xffff, high, low] => join(high, low),
        // `::` and `::1` are addresses of their own.
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => join(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => join(high, low),
        [0x2002, high, low, ..] => join(high, low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_forbidden_addresses_holds() {
        let outside: IpAddr = "192.0.2.1".parse().expect("valid");
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "169.254.0.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "ff0e::1",
            "::ffff:127.0.0.1",
            "::ffff:0.0.0.0",
            "::ffff:169.254.169.254",
            "::ffff:224.0.0.1",
            "::127.0.0.1",
            "::169.254.169.254",
            "64:ff9b::127.0.0.1",
            "64:ff9b::169.254.169.254",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
        ] {
            assert!(is_forbidden_target(text.parse().expect(text), outside), "{text} is allowed");
        }
        for text in ["192.0.2.7", "10.0.0.1", "172.16.3.4", "192.168.1.20", "8.8.8.8", "2001:db8::7", "fd00::1"] {
            assert!(!is_forbidden_target(text.parse().expect(text), outside), "{text} is forbidden");
        }
    }

    #[test]
    fn loopback_may_talk_to_loopback_only_when_we_are_there() {
        for (target, local, forbidden) in [
            ("127.0.0.1", "127.0.0.1", false),
            ("127.3.0.9", "127.0.0.1", false),
            ("::1", "::1", false),
            ("::1", "2001:db8::1", true),
            ("127.0.0.1", "10.0.0.1", true),
            ("169.254.1.1", "127.0.0.1", true),
        ] {
            let (target, local): (IpAddr, IpAddr) = (target.parse().expect(target), local.parse().expect(local));
            assert_eq!(is_forbidden_target(target, local), forbidden, "{target} from {local}");
        }
    }
}
