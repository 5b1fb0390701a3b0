//! Who and what there is: accounts, conferences, phones, and when people begin what.

use std::net::SocketAddr;

use base::{AccessType, ConferenceId, ConferenceNumber, Duration, Limits, Role, UserUri};
use c3p::FocusUri;
use engine::{Directory, EngineConfig, UserAccount};
use focus::{ConferenceRecord, Pin};
use mcu_api::{AloneAudio, Codec, ConferenceMedia};
use sip_api::{Binding, Flow, SipUri, Transport};

use crate::dice::Dice;
use crate::phone::{Action, Phone};
use crate::swarm::Swarm;
use crate::{DOMAIN, Day};

/// Users and how many devices each has.
const USERS: [(&str, u16); 4] = [("ann", 1), ("bob", 2), ("cleo", 3), ("dan", 0)];

/// Where devices that are not registered answer: two trunks, and a phone of another server.
const TRUNKS: [(&str, u16); 2] = [("one", 5070), ("two", 5072)];
const FAR_PORT: u16 = 6_100;

/// Response groups: everybody at once, and one after the other; on days of crashes also who has been idle longest.
const GROUPS: [&str; 3] = ["sales", "support", "desk"];
const ORDINARY_GROUPS: usize = 2;

/// The groups. Their agents are the users with devices, so that the groups want the same people.
pub(crate) fn groups(day: Day) -> response_group::Config {
    use response_group::{Action, AgentGroup, Config, Method, Queue, ResponseGroup};
    let methods = [Method::Parallel, Method::Serial, Method::LongestIdle];
    let group = |(name, method): (&str, Method)| {
        let agents = owners().into_iter().map(response_group::Agent::new).collect();
        let agent_group = AgentGroup { method, agents, ..AgentGroup::default() };
        let queue = Queue {
            timeout_seconds: Some(60),
            timeout_action: Action::Forward { target: user("cleo") }.into(),
            ..Queue::default()
        };
        ResponseGroup { queue, ..ResponseGroup::new(user(name), name, agent_group) }
    };
    let wanted = if day == Day::Ordinary { ORDINARY_GROUPS } else { GROUPS.len() };
    let mut groups: Vec<ResponseGroup> = GROUPS.into_iter().zip(methods).take(wanted).map(group).collect();
    if day != Day::Ordinary {
        for group in &mut groups {
            group.agent_groups[0].alert_time_seconds = 12;
            group.agent_groups[0].wrap_up_seconds = 4;
        }
        // Who waits too long at the desk is passed to everybody else.
        groups[2].queue.timeout_action = Action::Group { target: user("sales") }.into();
    }
    // Nobody waits where nobody is left.
    groups[0].queue.no_agent_action = Some(Action::Forward { target: user("cleo") }.into());
    groups[1].queue.no_agent_action = Some(Action::Disconnect.into());
    let mut config = Config { groups, ..Config::default() };
    if day == Day::CrashesWithoutGuard {
        config.timing.restart_guard_seconds = 86_400;
    }
    config
}

/// Everything a run begins with.
pub(crate) struct Scene {
    pub(crate) phones: Vec<Phone>,
    /// When who begins what: phone, time, action.
    pub(crate) plan: Vec<(usize, Duration, Action)>,
    /// People who may be called.
    pub(crate) people: Vec<String>,
}

/// An address on the only host.
pub(crate) fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A user of the server.
pub(crate) fn user(name: &str) -> UserUri {
    UserUri::parse(&format!("sip:{name}@{DOMAIN}")).expect("valid")
}

/// The engine's settings.
pub(crate) fn config(swarm: &Swarm) -> EngineConfig {
    let session = Duration::from_secs(if swarm.short_sessions { 90 } else { 1_800 });
    EngineConfig {
        domain: DOMAIN.to_owned(),
        hosts: vec!["127.0.0.1".to_owned()],
        factory_user: "conference-factory".to_owned(),
        srtp: sdp::SrtpPolicy::Off,
        codecs: vec![Codec::Opus, Codec::Pcmu, Codec::Pcma],
        media_ports: None,
        media: ConferenceMedia {
            alone: AloneAudio::Silence,
            entry_exit_tones: false,
            media_silence_ms: 30_000,
            jitter_delay_max_ms: 120,
        },
        recording_format: mcu_api::RecordingFormat::Opus,
        unix_start_ms: 1_700_000_000_000,
        focus: focus::FocusConfig {
            // Not a kind of its own, which would give every known seed another story.
            roster_interval: Duration::from_millis(if swarm.reordering { 100 } else { 0 }),
            ..focus::FocusConfig::default()
        },
        call: call::CallConfig { domain: DOMAIN.to_owned(), session_expires: session, ..call::CallConfig::default() },
        certificate: None,
        keypad: Some(engine::KeyMap::default()),
        language: "en".to_owned(),
        caller_number: None,
        attendees_may_dial_out: false,
        group_codes: engine::GroupCodes::default(),
        access_numbers: Vec::new(),
        trusted_peers: Vec::new(),
        limits: Limits::default(),
    }
}

/// Accounts, dial plan and permanent conferences: open, anonymous with a PIN, closed, anonymous without.
pub(crate) fn directory() -> Directory {
    let mut router = routing::Router { domains: vec![DOMAIN.to_owned()], ..routing::Router::default() };
    let rules = [routing::Rule { pattern: r"0(\d+)".to_owned(), translation: "+49$1".to_owned() }];
    let profile = routing::LocationProfile::compile("default", &rules).expect("valid");
    router.profiles.insert("default".to_owned(), profile);
    router.trunks = TRUNKS.map(|(name, port)| trunk(name, port)).to_vec();
    let mut directory = Directory::new(router);
    for (name, _) in USERS {
        directory.add_user(UserAccount {
            uri: user(name),
            display_name: Some(name.to_owned()),
            location_profile: None,
            number: None,
        });
    }
    for (number, access, pin) in [
        ("1234", AccessType::Open, None),
        ("2345", AccessType::Anonymous, Some("4711")),
        ("3456", AccessType::Closed, None),
        ("4567", AccessType::Anonymous, None),
    ] {
        directory.add_conference(conference(number, access, pin));
    }
    directory
}

fn trunk(name: &str, port: u16) -> routing::Trunk {
    routing::Trunk {
        name: name.to_owned(),
        target: routing::TrunkTarget::parse(&format!("udp:127.0.0.1:{port}")).expect("valid"),
        allow: Vec::new(),
        deny: Vec::new(),
    }
}

fn conference_id(number: &str) -> ConferenceId {
    ConferenceId::parse(&format!("PERMANENT{number:0>6}")).expect("valid")
}

fn conference(number: &str, access: AccessType, pin: Option<&str>) -> ConferenceRecord {
    ConferenceRecord {
        id: conference_id(number),
        number: Some(ConferenceNumber::parse(number).expect("valid")),
        organizer: user("ann"),
        organizer_name: Some("Ann".to_owned()),
        subject: None,
        access,
        pin: pin.map(|pin| Pin::parse(pin).expect("valid")),
        invited: vec![(user("bob"), Role::Presenter)],
        locked: false,
        attendees_may_dial_out: number == "4567",
        lobby: focus::Lobby::Off,
        promote_authenticated: false,
    }
}

/// The devices of a user among these phones, as the registrar would list them.
pub(crate) fn bindings(phones: &[Phone], server: SocketAddr, owner: &UserUri) -> Vec<Binding> {
    let devices = phones.iter().filter(|phone| phone.account.as_ref() == Some(owner) && phone.name.contains('/'));
    let binding = |phone: &Phone| Binding {
        contact: SipUri::parse(&format!("sip:{}@{}", owner.user_part(), phone.address)).expect("valid"),
        path: Vec::new(),
        flow: Flow { transport: Transport::Udp, local: server, remote: phone.address },
        instance: None,
        preference: 1_000,
    };
    devices.map(binding).collect()
}

/// Users with devices.
pub(crate) fn owners() -> Vec<UserUri> {
    USERS.iter().filter(|(_, devices)| *devices > 0).map(|(name, _)| user(name)).collect()
}

/// Draws who is there and when who begins what.
pub(crate) fn draw(dice: &mut Dice, swarm: &Swarm, day: Duration) -> Scene {
    let mut scene = devices();
    let day_ms = u64::try_from(day.as_millis()).unwrap_or(u64::MAX);
    scene.add_callers(dice, swarm, day_ms);
    scene.add_clients(dice, swarm, day_ms);
    scene
}

/// The same for a day on which nobody wants anything but a response group.
pub(crate) fn draw_callers_of_groups(dice: &mut Dice, swarm: &Swarm, day: Duration) -> Scene {
    let mut scene = devices();
    let day_ms = u64::try_from(day.as_millis()).unwrap_or(u64::MAX);
    for number in 0..dice.between(2, 8) {
        let stranger = swarm.strangers && dice.chance(0.5);
        let owner = dice.pick(&["ann", "bob", "cleo", "dan"]).map(|name| user(name));
        let caller = scene.add(format!("caller-{number}"), None, owner.filter(|_| !stranger));
        for _ in 0..dice.between(1, 5) {
            let target = format!("sip:{}@{DOMAIN}", dice.pick(&GROUPS).expect("not empty"));
            scene.plan.push((caller, dice.millis(0, day_ms), Action::Call { target, digits: None }));
        }
    }
    scene
}

/// Calls to feature codes that leave an agent as ready as he was: who, when, and what he dials.
pub(crate) fn feature_calls(dice: &mut Dice, phones: &[Phone], day_ms: u64) -> Vec<(usize, Duration, Action)> {
    let has_account = |(_, phone): &(usize, &Phone)| phone.name.starts_with("caller-") && phone.account.is_some();
    let users: Vec<usize> = phones.iter().enumerate().filter(has_account).map(|(at, _)| at).collect();
    let call = |_| {
        let (phone, code) = (*dice.pick(&users)?, *dice.pick(&["*55", "*58"])?);
        Some((phone, dice.millis(0, day_ms), Action::Call { target: format!("sip:{code}@{DOMAIN}"), digits: None }))
    };
    (0..3).filter_map(call).collect()
}

/// Everybody's devices, the trunks, and the phone of another server.
fn devices() -> Scene {
    let mut scene = Scene { phones: Vec::new(), plan: Vec::new(), people: people() };
    for (name, devices) in USERS {
        for device in 0..devices {
            scene.add(format!("{name}/{device}"), None, Some(user(name)));
        }
    }
    for (name, port) in TRUNKS {
        scene.add(format!("trunk-{name}"), Some(port), None);
    }
    scene.add("zed".to_owned(), Some(FAR_PORT), None);
    scene
}

fn people() -> Vec<String> {
    let accounts = USERS.iter().map(|(name, _)| user(name).to_string());
    accounts.chain(["tel:03055501234".to_owned(), "tel:+498912345".to_owned(), elsewhere()]).collect()
}

/// The phone of another server.
pub(crate) fn elsewhere() -> String {
    format!("sip:zed@far.example:{FAR_PORT}")
}

impl Scene {
    fn add(&mut self, name: String, port: Option<u16>, account: Option<UserUri>) -> usize {
        let index = self.phones.len();
        let offset = u16::try_from(index).expect("few phones");
        let port = port.unwrap_or(6_000 + offset);
        self.phones.push(Phone::new(name, address(port), account, 10_000 + 300 * offset));
        index
    }

    fn add_callers(&mut self, dice: &mut Dice, swarm: &Swarm, day_ms: u64) {
        for number in 0..dice.between(1, 8) {
            let stranger = swarm.strangers && dice.chance(0.5);
            let owner = dice.pick(&["ann", "bob", "cleo", "dan"]).map(|name| user(name));
            let caller = self.add(format!("caller-{number}"), None, owner.filter(|_| !stranger));
            for _ in 0..dice.between(1, 4) {
                let (target, digits) = match swarm.people && dice.chance(0.3) {
                    true => ("cleo", None),
                    false if swarm.groups && dice.chance(0.4) => {
                        (*dice.pick(&GROUPS[..ORDINARY_GROUPS]).expect("not empty"), None)
                    }
                    false => somewhere(dice),
                };
                let target = format!("sip:{target}@{DOMAIN}");
                self.plan.push((caller, dice.millis(0, day_ms), Action::Call { target, digits }));
            }
        }
    }

    fn add_clients(&mut self, dice: &mut Dice, swarm: &Swarm, day_ms: u64) {
        for (name, most) in [("ann", 2), ("bob", 2), ("cleo", 1)] {
            for number in 0..dice.between(0, most) {
                let client = self.add(format!("{name}-client-{number}"), None, Some(user(name)));
                for _ in 0..dice.between(1, 3) {
                    let conference = *dice.pick(&["1234", "1234", "3456", "4567"]).expect("not empty");
                    let focus = FocusUri::new(&user("ann"), conference_id(conference));
                    self.plan.push((client, dice.millis(0, day_ms / 2), Action::Join(focus)));
                }
                if swarm.factory {
                    for _ in 0..dice.between(1, 5) {
                        self.plan.push((client, dice.millis(0, day_ms), Action::Factory));
                    }
                }
            }
        }
    }
}

/// Whom a caller calls, and what he presses when he is asked for a PIN.
fn somewhere(dice: &mut Dice) -> (&'static str, Option<&'static str>) {
    let digits = [Some("4711#"), Some("1#4711#"), Some("1#2#3#"), None];
    match dice.between(0, 9) {
        0..=4 => ("1234", None),
        5..=6 => ("2345", *dice.pick(&digits).expect("not empty")),
        7 => ("4567", None),
        8 => ("conference-factory", None),
        _ => ("3456", None),
    }
}
