//! Other people's phones meet in one conference: each hears all others, and nobody hears himself.

use system_tests::meeting::{Participant, assert_complete, meet};
use system_tests::{Baresip, Certificate, Codec, Line, LineOptions, Linphone, Server, ServerOptions, alone};
use testkit::tone::TONES;

/// A baresip named `userN` with the Nth tone, registered.
fn baresip(number: usize, set_up: impl FnOnce(LineOptions) -> LineOptions) -> Box<dyn Line> {
    let options = LineOptions::new(&format!("user{number}"), TONES[number - 1]);
    let mut phone = Baresip::start(set_up(options));
    phone.wait_registered();
    Box::new(phone)
}

/// A linphonec named `userN` with the Nth tone, registered.
fn linphone(number: usize, set_up: impl FnOnce(LineOptions) -> LineOptions) -> Box<dyn Line> {
    let options = LineOptions::new(&format!("user{number}"), TONES[number - 1]);
    let mut phone = Linphone::start(set_up(options));
    phone.wait_registered();
    Box::new(phone)
}

/// All phones call the same URI.
fn all_at(uri: &str, phones: impl IntoIterator<Item = Box<dyn Line>>) -> Vec<Participant> {
    phones.into_iter().map(|phone| (phone, uri.to_owned())).collect()
}

#[test]
fn three_baresips_and_a_linphonec_hear_each_other_and_not_themselves() {
    let _turn = alone();
    let server = Server::start(&ServerOptions::default());
    let at = server.sip().to_string();
    let phones = [
        baresip(1, |options| options.at(&at)),
        baresip(2, |options| options.at(&at)),
        baresip(3, |options| options.at(&at)),
        linphone(4, |options| options.at(&at)),
    ];
    let heard = meet(&mut all_at(&server.conference("1000"), phones));
    assert_complete(&heard);
}

#[test]
fn opus_and_both_kinds_of_g711_are_mixed() {
    let _turn = alone();
    let server = Server::start(&ServerOptions::default());
    let at = server.sip().to_string();
    let phones = [
        baresip(1, |options| options.at(&at).codec(Codec::Opus)),
        baresip(2, |options| options.at(&at).codec(Codec::Pcmu)),
        baresip(3, |options| options.at(&at).codec(Codec::Pcma)),
        linphone(4, |options| options.at(&at).codec(Codec::Pcmu)),
    ];
    let heard = meet(&mut all_at(&server.conference("1000"), phones));
    assert_complete(&heard);
}

#[test]
fn two_phones_meet_over_tcp() {
    let _turn = alone();
    let server = Server::start(&ServerOptions::default());
    let at = server.sip().to_string();
    let phones =
        [baresip(1, |options| options.at(&at).over("tcp")), linphone(2, |options| options.at(&at).over("tcp"))];
    let heard = meet(&mut all_at(&server.conference_over("1000", "tcp"), phones));
    assert_complete(&heard);
}

#[test]
fn two_phones_meet_over_tls_with_srtp() {
    let _turn = alone();
    let folder = tempfile::tempdir().expect("temporary folder");
    let certificate = Certificate::make(folder.path());
    let options = ServerOptions { certificate: Some(certificate.clone()), ..ServerOptions::default() };
    let server = Server::start(&options);
    let at = server.tls().to_string();
    let phones = [
        baresip(1, |options| options.at(&at).secure(&certificate.ca)),
        linphone(2, |options| options.at(&at).secure(&certificate.ca)),
    ];
    let heard = meet(&mut all_at(&server.conference_over("1000", "tls"), phones));
    assert_complete(&heard);
}

#[test]
fn an_encrypted_and_a_plain_phone_meet() {
    let _turn = alone();
    let folder = tempfile::tempdir().expect("temporary folder");
    let certificate = Certificate::make(folder.path());
    let options = ServerOptions { certificate: Some(certificate.clone()), ..ServerOptions::default() };
    let server = Server::start(&options);
    let (plain, secure) = (server.sip().to_string(), server.tls().to_string());
    let mut participants = vec![
        (baresip(1, |options| options.at(&secure).secure(&certificate.ca)), server.conference_over("1000", "tls")),
        (baresip(2, |options| options.at(&plain).codec(Codec::Pcmu)), server.conference("1000")),
    ];
    assert_complete(&meet(&mut participants));
}
