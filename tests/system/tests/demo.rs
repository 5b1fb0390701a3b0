//! `convoke demo` to its end, as a newcomer runs it.

use std::net::UdpSocket;
use std::process::Command;

use system_tests::Server;
use testkit::{Robot, wav};

/// The first of the ports a server takes by default.
const DEFAULT_PORT: u16 = 20_000;

#[test]
fn the_demo_runs_beside_a_server_and_leaves_what_was_heard() {
    // Stands for `make run`, which holds the same port; if somebody else has it, so much the better.
    let _server = UdpSocket::bind(("127.0.0.1", DEFAULT_PORT));
    let folder = tempfile::tempdir().expect("a folder");
    let mut demo = Command::new(Server::binary().expect("the server's binary is built: cargo build -p convoke"));
    let output = demo.arg("demo").arg("--output").arg(folder.path()).output().expect("the binary starts");
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}");

    let summary = std::fs::read_to_string(folder.path().join("demo-summary.md")).expect("a summary");
    for name in Robot::NAMES {
        let file = format!("demo-heard-by-{name}.wav");
        assert!(summary.contains(&file) && summary.contains(&format!("{name} said hello")), "{summary}");
        let heard = wav::read(&folder.path().join(&file)).expect("a recording");
        let loud = heard.samples.iter().filter(|sample| sample.unsigned_abs() > 1_000).count();
        // At least the hello of another robot, each longer than a second.
        assert!(heard.seconds() > 3.0, "{name} was in for {} s", heard.seconds());
        assert!(
            loud * 20 > heard.rate as usize,
            "{name} heard nothing: {loud} loud samples of {}",
            heard.samples.len()
        );
    }
    let story = [
        "# A conference of robots",
        "Ben was muted",
        "Cleo was promoted to presenter",
        "Dan was ejected",
        "ada@demo.convoke.invalid, attendee: dialing-out -> connected",
        "cleo@demo.convoke.invalid, presenter",
        "olivia@demo.convoke.invalid, organizer: without a phone",
    ];
    for part in story {
        assert!(summary.contains(part), "{part} is missing in\n{summary}");
    }
    assert!(!summary.contains("dan@"), "whoever was ejected is still in the roster:\n{summary}");
}
