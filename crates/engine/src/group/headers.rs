//! What an offer says of itself (routing.md 2.2): it is a group's call, it is for this agent and for nobody else.

use response_group::OfferOrder;
use sip_api::{CONTACT_PLACEHOLDER, Headers, NameAddr, SipUri};

use super::caller::Caller;
use crate::directory::Directory;

/// The loop token: groups passed so far.
pub(super) const HOPS_HEADER: &str = "X-RG-Hops";

/// The flag our own home router honours: ring the registered devices and nothing else. Only what this engine dials
/// carries it; on a request from outside it means nothing, because calls are built anew here and not passed on.
const OFFER_HEADER: &str = "X-RG-Offer";

/// How an agent's phone rings for a group that does not say it: as for a call from outside (RFC 7462 8.2).
const ALERT: &str = "<urn:alert:source:external>;info=response-group";

/// Headers of the caller that agents are shown. None of them makes a phone act.
pub(super) const PASSED_ON: [&str; 2] = ["Priority", "Privacy"];

/// Headers of the INVITE of an offer.
pub(super) fn offer_headers(
    order: &OfferOrder,
    caller: &Caller,
    alert: Option<&str>,
    directory: &Directory,
) -> call::ExtraHeaders {
    let group = &order.group;
    // `acd`: automatic call distribution, the reason of a response group (c3p.md 5).
    let history = format!("<{group}>;index=1, <{};ms-retarget-reason=acd>;index=1.1;mp=1", order.agent);
    let contact = format!("<sip:{}@{CONTACT_PLACEHOLDER}>;automata;actor=\"attendant\"", group.user_part());
    let fixed = [
        ("Contact", contact),
        (OFFER_HEADER, order.offer.0.to_string()),
        (HOPS_HEADER, (order.hops + 1).to_string()),
        ("Ms-Sensitivity", "private-no-diversion".to_owned()),
        ("Ms-Target-Class", "secondary".to_owned()),
        ("Request-Disposition", "proxy, no-recurse, parallel, no-queue".to_owned()),
        ("Reject-Contact", "*;actor=\"msg-taker\";automata".to_owned()),
        ("Answer-Mode", "Manual".to_owned()),
        ("Supported", "histinfo".to_owned()),
        ("History-Info", history),
        ("Alert-Info", alert.unwrap_or(ALERT).to_owned()),
        ("Subject", subject(order)),
        ("Expires", order.expires_seconds.to_string()),
        ("Max-Forwards", caller.hops_left.to_string()),
    ];
    let own = fixed.into_iter().map(|(name, value)| (name.to_owned(), value));
    own.chain(asserted_identity(caller, directory)).chain(caller.passed_on.iter().cloned()).collect()
}

/// The caller as he is vouched for: only what was proved is asserted (RFC 3325 5), and who wants to stay private is not, to a
/// phone or a trunk (7). A user's name is the one his account has: what his phone calls him proves nothing.
pub(super) fn asserted_identity(caller: &Caller, directory: &Directory) -> Option<(String, String)> {
    let identity = || {
        let display_name = match &caller.user {
            Some(user) => directory.user(user).and_then(|account| account.display_name.clone()),
            None => caller.from.display_name.clone(),
        };
        NameAddr { display_name, params: Vec::new(), ..caller.from.clone() }.to_string()
    };
    let asserted = caller.proved && !wants_privacy(&caller.passed_on);
    asserted.then(|| ("P-Asserted-Identity".to_owned(), identity()))
}

/// Whether the caller asks that his identity be kept from those he calls (RFC 3323 4.2, RFC 3325 9.3).
fn wants_privacy(passed_on: &[(String, String)]) -> bool {
    let values = passed_on.iter().filter(|(name, _)| name.eq_ignore_ascii_case("Privacy")).map(|(_, value)| value);
    values.flat_map(|value| value.split([';', ','])).any(|word| {
        let word = word.trim();
        ["id", "user", "header"].iter().any(|kept| word.eq_ignore_ascii_case(kept))
    })
}

/// The caller as the agent is shown him: the group's name first, because that is how he must answer. `uri` is an
/// address to be shown in place of his own.
pub(super) fn offer_from(order: &OfferOrder, caller: &Caller, uri: Option<SipUri>) -> NameAddr {
    let shown = caller.from.display_name.as_deref().or(caller.from.uri.user.as_deref()).unwrap_or("Anonymous");
    NameAddr {
        display_name: Some(format!("{}: {shown}", plain(&order.group_name))),
        uri: uri.unwrap_or_else(|| caller.from.uri.address_of_record()),
        params: Vec::new(),
    }
}

/// What the agent knows before he answers: group, answers to its questions, time waited.
fn subject(order: &OfferOrder) -> String {
    let labels: String = order.labels.iter().map(|label| format!(", {}", plain(label))).collect();
    format!("{}{labels}, waited {} s", plain(&order.group_name), order.waited_seconds)
}

/// A text of the operator's as header text: no line ends and nothing that needs quoting.
fn plain(text: &str) -> String {
    text.chars().filter(|character| !character.is_control() && !"\"\\<>".contains(*character)).collect()
}

/// Whether a 200 says that somebody or something else than the agent answers: a diversion on the way, a mailbox, or the
/// identity of another one (routing.md 2.3).
pub(super) fn is_diverted(headers: &Headers, order: &OfferOrder) -> bool {
    let mailbox = headers.get("Contact").is_some_and(|contact| {
        let contact = contact.to_ascii_lowercase();
        contact.contains("msg-taker") || contact.contains(";automata")
    });
    let history = headers.get_all("History-Info").any(|entry| {
        let entry = entry.to_ascii_lowercase();
        // RFC 4458 and RFC 7044: an entry with a cause was made by whoever retargeted the call.
        entry.contains("cause=") || entry.contains("cause%3d") || entry.contains("voicemail")
    });
    let other = headers.name_addr("P-Asserted-Identity").and_then(Result::ok).is_some_and(|identity| {
        !order.pstn && !identity.uri.user.as_deref().unwrap_or("").eq_ignore_ascii_case(order.agent.user_part())
    });
    headers.get("Diversion").is_some() || mailbox || history || other
}

#[cfg(test)]
mod tests {
    use base::{CallId, UserUri};
    use response_group::OfferNo;

    use super::*;

    fn order() -> OfferOrder {
        OfferOrder {
            offer: OfferNo(7),
            call: CallId(1),
            agent: UserUri::parse("sip:bob@example.com").expect("valid"),
            pstn: false,
            group: UserUri::parse("sip:sales@example.com").expect("valid"),
            group_name: "Sales \"<x>\"".to_owned(),
            caller: "sip:ann@example.com".to_owned(),
            labels: vec!["English".to_owned()],
            waited_seconds: 12,
            expires_seconds: 25,
            hops: 0,
        }
    }

    #[test]
    fn the_agent_reads_what_he_needs_before_he_answers() {
        assert_eq!(subject(&order()), "Sales x, English, waited 12 s");
    }

    #[test]
    fn privacy_is_what_the_caller_says() {
        let cases = [("none", false), ("id", true), ("critical;ID", true), ("header; user", true), ("session", false)];
        for (value, private) in cases {
            let headers = [("Privacy".to_owned(), value.to_owned())];
            assert_eq!(wants_privacy(&headers), private, "{value}");
        }
        assert!(!wants_privacy(&[]));
    }

    #[test]
    fn an_answer_of_somebody_else_is_recognised() {
        let cases: &[(&str, &str, bool)] = &[
            ("Contact", "<sip:bob@127.0.0.1:5070>", false),
            ("Contact", "<sip:vm@127.0.0.1:5070>;actor=\"msg-taker\"", true),
            ("Contact", "<sip:vm@127.0.0.1>;automata", true),
            ("Diversion", "<sip:bob@example.com>;reason=no-answer", true),
            ("History-Info", "<sip:bob@example.com>;index=1", false),
            ("History-Info", "<sip:vm@example.com?cause=408>;index=1.1", true),
            ("P-Asserted-Identity", "<sip:bob@example.com>", false),
            ("P-Asserted-Identity", "<sip:voicemail@example.com>", true),
        ];
        for (name, value, diverted) in cases {
            assert_eq!(is_diverted(&Headers::new().with(name, *value), &order()), *diverted, "{name}: {value}");
        }
    }
}
