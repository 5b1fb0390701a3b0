//! `convoke demo`: a conference of talking robots, over real SIP and RTP on loopback.
//!
//! The robots and the organizer know the server only by its wire: the conference is scheduled by C3P, everybody is
//! dialled by it, and what the screen shows is what the roster's notifications and the HTTP side say.

mod screen;
mod summary;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

use testkit::{Agent, AgentOptions, Clip, ConferenceClient, PhoneOptions, Robot};

use crate::config::{self, Config};
use crate::server::{self, Server};
use screen::Screen;
use summary::Summary;

/// Domain of the demo.
const DOMAIN: &str = "demo.convoke.invalid";

/// Who leads the demo's conference; he has no phone, only a C3P client.
const ORGANIZER: &str = "olivia";

/// How long anything on the wire may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Media ports of the demo, RTP and RTCP: four robots, and room for those that drain.
const PORTS: u16 = 40;

/// Where it looks for them: beyond the range that is the default of a server, which may run beside it, and below the
/// ports the system gives to whoever asks for any.
const PORT_RANGES: std::ops::Range<u16> = 22_000..32_000;

/// Runs the demo and leaves its files in `output`.
pub(crate) async fn run(output: PathBuf) -> Result<(), String> {
    std::fs::create_dir_all(&output).map_err(|error| format!("--output {output:?}: {error}"))?;
    let scratch = std::env::temp_dir().join(format!("convoke-demo-{}", std::process::id()));
    let server = server::start(&demo_config(&scratch)?, Vec::new()).await?;
    let result = hold_conference(&server, &output).await;
    server.stop().await;
    // The scratch directory holds only the demo's own database.
    drop(std::fs::remove_dir_all(&scratch));
    result
}

fn demo_config(scratch: &Path) -> Result<Config, String> {
    let first = free_ports()?;
    let users: String = std::iter::once(ORGANIZER)
        .chain(Robot::NAMES)
        .map(|name| {
            let user = name.to_lowercase();
            format!(
                "[[user]]\nuri = \"sip:{user}@{DOMAIN}\"\npassword = \"{}\"\ndisplay_name = \"{name}\"\n",
                password(&user)
            )
        })
        .collect();
    let text = format!(
        "data_dir = {scratch:?}\ndomain = \"{DOMAIN}\"\n[sip]\nlisten = [\"udp:127.0.0.1:0\"]\n\
         [http]\nlisten = \"127.0.0.1:0\"\n[media]\nports = \"{first}-{}\"\n{users}",
        first + PORTS - 1
    );
    config::parse(&text).map_err(|error| error.to_string())
}

/// The first of [`PORTS`] neighbouring ports that nobody uses now.
fn free_ports() -> Result<u16, String> {
    let is_free = |port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    let mut ranges = PORT_RANGES.step_by(PORTS.into());
    ranges.find(|first| (*first..first + PORTS).all(is_free)).ok_or_else(|| {
        let std::ops::Range { start, end } = PORT_RANGES;
        format!("no {PORTS} neighbouring UDP ports from {start} to {end} are free on 127.0.0.1; end what uses them")
    })
}

/// The robots' passwords are worth nothing: they open a server that lives for a minute on loopback.
fn password(user: &str) -> String {
    format!("{user}-{}", std::process::id())
}

async fn hold_conference(server: &Server, output: &Path) -> Result<(), String> {
    let sip = server.sip_addresses().first().map(|listen| listen.address).ok_or("the demo's server has no address")?;
    let mut screen = Screen::start(server.http_address());
    let mut robots = open_robots(sip).await?;
    screen.say("four robots have registered their phones");

    let agent = open_agent(sip).await?;
    let mut focus = ConferenceClient::create(agent, "DEMO2DAY", "The robots' morning meeting").await.map_err(wire)?;
    screen.say("Olivia has scheduled a conference by C3P (SERVICE, addConference)");
    focus.join("presenter").await.map_err(wire)?;
    focus.subscribe().await.map_err(wire)?;
    screen.say("Olivia has joined its Focus and subscribed to the roster");

    for robot in &mut robots {
        let dialling = focus.start_dial_out(&address(robot.name())).await.map_err(wire)?;
        robot.be_called(PATIENCE).await.map_err(wire)?;
        focus.finished(dialling).await.map_err(wire)?;
        screen.say(&format!("the conference has called {}, who answered", robot.name()));
    }
    let mut summary = Summary::new(server.http_address());
    talk(&mut screen, &mut focus, &robots, &mut summary).await?;
    finish(&mut screen, &mut focus, &robots, output, summary).await
}

/// Everybody says hello; then one is muted, one promoted, one ejected.
async fn talk(
    screen: &mut Screen,
    focus: &mut ConferenceClient,
    robots: &[Robot],
    summary: &mut Summary,
) -> Result<(), String> {
    for robot in robots {
        screen.say(&format!("{} says hello", robot.name()));
        summary.note(&format!("{} said hello", robot.name()));
        screen.watch(robot.speak(Clip::Hello)).await;
    }
    let [ada, ben, cleo, dan] = robots else { return Err("the demo wants four robots".to_owned()) };
    focus.set_mute(&address(ben.name()), true).await.map_err(wire)?;
    screen.say("Olivia has muted Ben; he talks on, and nobody hears him");
    summary.note("Ben was muted (modifyEndpointMedia) and talked into the void");
    screen.watch(ben.speak(Clip::Statement)).await;
    focus.set_mute(&address(ben.name()), false).await.map_err(wire)?;
    summary.note("Ben was unmuted");

    focus.promote(&address(cleo.name()), "presenter").await.map_err(wire)?;
    screen.say("Olivia has promoted Cleo to presenter");
    summary.note("Cleo was promoted to presenter (modifyUserRoles)");
    screen.watch(async { tokio::join!(ada.speak(Clip::Statement), cleo.speak(Clip::Statement)) }).await;
    summary.note("Ada and Cleo talked at the same time");

    focus.eject(&address(dan.name())).await.map_err(wire)?;
    let call = dan.call();
    if let Some(call) = call {
        call.ended(PATIENCE).await.map_err(wire)?;
    }
    screen.say("Olivia has ejected Dan (deleteUser); his phone was hung up");
    summary.note("Dan was ejected (deleteUser)");
    screen.watch(ben.speak(Clip::Statement)).await;
    summary.note("Ben talked; Dan does not hear this");
    Ok(())
}

async fn finish(
    screen: &mut Screen,
    focus: &mut ConferenceClient,
    robots: &[Robot],
    output: &Path,
    mut summary: Summary,
) -> Result<(), String> {
    summary.take_roster(focus).await;
    focus.end().await.map_err(wire)?;
    screen.say("Olivia has ended the conference (deleteConference)");
    for robot in robots {
        let name = format!("demo-heard-by-{}.wav", robot.name());
        robot.save_recording(&output.join(&name)).map_err(|error| format!("{name}: {error}"))?;
        summary.add_file(&name);
    }
    let page = output.join("demo-summary.md");
    std::fs::write(&page, summary.page()).map_err(|error| format!("{page:?}: {error}"))?;
    screen.finish(&format!("listen to demo-heard-by-*.wav; the story is in {}", page.display()));
    let faults = focus.roster_faults();
    if faults.is_empty() { Ok(()) } else { Err(format!("the roster broke a rule: {}", faults.join("; "))) }
}

async fn open_robots(sip: SocketAddr) -> Result<Vec<Robot>, String> {
    let mut robots = Vec::new();
    for name in Robot::NAMES {
        let user = name.to_lowercase();
        let options = AgentOptions::new(&user, DOMAIN, &password(&user), sip).named(name);
        let mut robot = Robot::open(name, PhoneOptions::new(options)).await.map_err(wire)?;
        robot.phone().register(600).await.map_err(wire)?;
        robots.push(robot);
    }
    Ok(robots)
}

async fn open_agent(sip: SocketAddr) -> Result<Agent, String> {
    let options = AgentOptions::new(ORGANIZER, DOMAIN, &password(ORGANIZER), sip).named("Olivia");
    let (agent, mut requests) = Agent::open(options).await.map_err(wire)?;
    // Olivia has no phone: whoever calls her is told so.
    tokio::spawn(async move {
        while let Some(request) = requests.recv().await {
            drop(request.respond(480, "Temporarily Unavailable").await);
        }
    });
    Ok(agent)
}

fn address(robot: &str) -> String {
    format!("sip:{}@{DOMAIN}", robot.to_lowercase())
}

fn wire(error: testkit::Error) -> String {
    format!("the demo's wire: {error}")
}
