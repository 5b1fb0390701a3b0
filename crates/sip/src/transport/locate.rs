//! Where a name leads (RFC 3263 4): which records are asked for, and in which order their hosts are tried. Pure: records and
//! random numbers are arguments; `dns` gets them.

use sip_api::Transport;

/// A NAPTR record (RFC 3403), as far as SIP uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Naptr {
    pub order: u16,
    pub preference: u16,
    pub service: String,
    /// The SRV name it leads to.
    pub replacement: String,
}

/// An SRV record (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Srv {
    pub priority: u16,
    pub weight: u16,
    pub port: u16,
    pub target: String,
}

/// The SRV names to ask for, the preferred one first. `wanted` is the transport a URI demands; else NAPTR records decide
/// among those we speak, and without any of these our own order does (RFC 3263 4.1). TLS is chosen by records or by the
/// URI alone.
pub(crate) fn services(
    host: &str,
    wanted: Option<Transport>,
    naptr: &[Naptr],
    spoken: &[Transport],
) -> Vec<(Transport, String)> {
    let name = |transport| match transport {
        Transport::Udp => format!("_sip._udp.{host}"),
        Transport::Tcp => format!("_sip._tcp.{host}"),
        Transport::Tls => format!("_sips._tcp.{host}"),
    };
    if let Some(transport) = wanted {
        return vec![(transport, name(transport))];
    }
    let mut usable: Vec<(&Naptr, Transport)> =
        naptr.iter().filter_map(|record| Some((record, transport_of(&record.service)?))).collect();
    usable.retain(|(_, transport)| spoken.contains(transport));
    usable.sort_by_key(|(record, _)| (record.order, record.preference));
    if !usable.is_empty() {
        return usable.into_iter().map(|(record, transport)| (transport, record.replacement.clone())).collect();
    }
    let ours = [Transport::Udp, Transport::Tcp].into_iter().filter(|transport| spoken.contains(transport));
    ours.map(|transport| (transport, name(transport))).collect()
}

fn transport_of(service: &str) -> Option<Transport> {
    match service.to_ascii_uppercase().as_str() {
        "SIP+D2U" => Some(Transport::Udp),
        "SIP+D2T" => Some(Transport::Tcp),
        "SIPS+D2T" => Some(Transport::Tls),
        _ => None,
    }
}

/// Records in the order their hosts are tried: the lowest priority first, and within one at random, in proportion to the
/// weights (RFC 2782). `random(n)` gives a number from 0 to n. A target of `.` says that there is no such service.
pub(crate) fn in_order(records: Vec<Srv>, random: &mut dyn FnMut(u32) -> u32) -> Vec<Srv> {
    let mut left: Vec<Srv> = records.into_iter().filter(|record| !matches!(record.target.as_str(), "" | ".")).collect();
    // Weightless ones first, so that they have their small chance.
    left.sort_by_key(|record| (record.priority, record.weight));
    let mut ordered = Vec::new();
    while let Some(priority) = left.first().map(|record| record.priority) {
        let among = left.iter().take_while(|record| record.priority == priority);
        let total: u32 = among.clone().map(|record| u32::from(record.weight)).sum();
        let drawn = random(total);
        let mut sum = 0;
        let chosen = among.map(|record| {
            sum += u32::from(record.weight);
            sum
        });
        let chosen = chosen.take_while(|sum| *sum < drawn).count();
        ordered.push(left.remove(chosen.min(left.len() - 1)));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naptr(order: u16, preference: u16, service: &str, replacement: &str) -> Naptr {
        Naptr { order, preference, service: service.to_owned(), replacement: replacement.to_owned() }
    }

    fn srv(priority: u16, weight: u16, target: &str) -> Srv {
        Srv { priority, weight, port: 5060, target: target.to_owned() }
    }

    fn names(found: &[(Transport, String)]) -> Vec<(Transport, &str)> {
        found.iter().map(|(transport, name)| (*transport, name.as_str())).collect()
    }

    #[test]
    fn the_uri_decides_then_the_records_then_we() {
        use Transport::{Tcp, Tls, Udp};
        let records = [
            naptr(90, 50, "SIP+D2T", "t.example"),
            naptr(50, 60, "sip+d2u", "u.example"),
            naptr(50, 50, "SIPS+D2T", "s.example"),
            naptr(10, 10, "E2U+sip", "enum.example"),
        ];
        let all = [Udp, Tcp, Tls];
        let found = services("a.example", None, &records, &all);
        assert_eq!(names(&found), [(Tls, "s.example"), (Udp, "u.example"), (Tcp, "t.example")]);
        let found = services("a.example", None, &records, &[Udp, Tcp]);
        assert_eq!(names(&found), [(Udp, "u.example"), (Tcp, "t.example")], "what we do not speak is passed over");
        let found = services("a.example", Some(Tls), &records, &all);
        assert_eq!(names(&found), [(Tls, "_sips._tcp.a.example")]);
        let found = services("a.example", None, &records[3..], &all);
        assert_eq!(names(&found), [(Udp, "_sip._udp.a.example"), (Tcp, "_sip._tcp.a.example")]);
    }

    #[test]
    fn hosts_are_tried_by_priority_and_then_by_weight() {
        let records =
            vec![srv(20, 0, "late"), srv(10, 30, "heavy"), srv(10, 10, "light"), srv(10, 0, "none"), srv(5, 1, ".")];
        let order = |draw: fn(u32) -> u32| {
            let ordered = in_order(records.clone(), &mut |total| draw(total));
            ordered.into_iter().map(|record| record.target).collect::<Vec<_>>()
        };
        assert_eq!(order(|_| 0), ["none", "light", "heavy", "late"]);
        assert_eq!(order(|total| total), ["heavy", "light", "none", "late"]);
        assert_eq!(order(|total| total.min(5)), ["light", "heavy", "none", "late"]);
        assert_eq!(order(|_| u32::MAX).len(), 4, "a number out of range chooses somebody all the same");
    }

    #[test]
    fn the_share_of_a_host_is_that_of_its_weight() {
        let records = vec![srv(1, 3, "three"), srv(1, 1, "one")];
        // Every number there is, once.
        let first = |drawn| in_order(records.clone(), &mut |_| drawn).remove(0).target;
        let threes = (1..=4).filter(|drawn| first(*drawn) == "three").count();
        assert_eq!(threes, 3);
    }
}
