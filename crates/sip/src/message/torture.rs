//! The messages of RFC 4475 and RFC 5118 against the checks. The same table is run over sockets in `tests/`.

use std::path::Path;

use base::Limits;

use super::{Checker, Verdict, parse_datagram};

/// What the checks alone must say: `0` a request that passes, `1` a response that passes, `-1` dropped, else a status.
const VERDICTS: &[(&str, i32)] = &[
    ("rfc4475/badaspec", 400),
    ("rfc4475/badbranch", 400),
    ("rfc4475/baddate", 0),
    ("rfc4475/baddn", 400),
    ("rfc4475/badinv01", 400),
    ("rfc4475/badvers", 505),
    ("rfc4475/bcast", 1),
    ("rfc4475/bext01", 420),
    ("rfc4475/bigcode", -1),
    ("rfc4475/clerr", 400),
    ("rfc4475/cparam01", 0),
    ("rfc4475/cparam02", 0),
    ("rfc4475/dblreq", 0),
    ("rfc4475/esc01", 0),
    ("rfc4475/esc02", 501),
    ("rfc4475/escnull", 0),
    ("rfc4475/escruri", 400),
    ("rfc4475/insuf", 400),
    ("rfc4475/intmeth", 501),
    ("rfc4475/inv2543", 0),
    ("rfc4475/invut", 415),
    ("rfc4475/longreq", 0),
    ("rfc4475/ltgtruri", 400),
    ("rfc4475/lwsdisp", 0),
    ("rfc4475/lwsruri", 400),
    ("rfc4475/lwsstart", 400),
    ("rfc4475/mcl01", 400),
    ("rfc4475/mismatch01", 400),
    ("rfc4475/mismatch02", 400),
    ("rfc4475/mpart01", 0),
    ("rfc4475/multi01", 400),
    ("rfc4475/ncl", 400),
    ("rfc4475/noreason", 1),
    ("rfc4475/novelsc", 416),
    ("rfc4475/quotbal", 400),
    ("rfc4475/regaut01", 0),
    ("rfc4475/regbadct", 400),
    ("rfc4475/regescrt", 0),
    ("rfc4475/scalar02", 400),
    ("rfc4475/scalarlg", -1),
    ("rfc4475/sdp01", 406),
    ("rfc4475/semiuri", 0),
    ("rfc4475/transports", 0),
    ("rfc4475/trws", 400),
    ("rfc4475/unkscm", 416),
    ("rfc4475/unksm2", 0),
    ("rfc4475/unreason", 1),
    ("rfc4475/wsinv", 0),
    ("rfc4475/zeromf", 0),
    ("rfc5118/ipv4-mapped-ipv6", 0),
    ("rfc5118/ipv6-bad", 400),
    ("rfc5118/ipv6-bug-abnf-3-colons", 0),
    ("rfc5118/ipv6-correct-abnf-2-colons", 0),
    ("rfc5118/ipv6-good", 0),
    ("rfc5118/ipv6-in-sdp", 0),
    ("rfc5118/mult-ip-in-header", 0),
    ("rfc5118/mult-ip-in-sdp", 0),
    ("rfc5118/port-ambiguous", 0),
    ("rfc5118/port-unambiguous", 0),
    ("rfc5118/via-received-param-no-delim", 0),
    ("rfc5118/via-received-param-with-delim", 0),
];

#[test]
fn every_message_of_rfc_4475_and_rfc_5118_has_its_verdict() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/sip");
    let checker = Checker::new(&Limits::default());
    let mut wrong = Vec::new();
    for (name, expected) in VERDICTS {
        // The table also stands where the data is left out of a source package.
        let Ok(bytes) = std::fs::read(folder.join(format!("{name}.dat"))) else { continue };
        let verdict = parse_datagram(&bytes.clone().into()).map(|message| checker.check(&message, bytes.len()));
        let verdict = match &verdict {
            Ok(Verdict::Request(_)) => 0,
            Ok(Verdict::Response(_)) => 1,
            Ok(Verdict::Reject(rejection, _)) => i32::from(rejection.response.status),
            Ok(Verdict::Drop(_)) | Err(_) => -1,
        };
        if verdict != *expected {
            wrong.push(format!("{name}: {verdict} instead of {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(VERDICTS.len(), 61);
}
