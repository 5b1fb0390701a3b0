//! A C3P client: it makes a conference, joins its Focus, watches the roster and commands.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::agent::{Agent, IncomingRequest, token};
use crate::c3p::{self, Element};
use crate::dialog::{Dialog, accepted};
use crate::error::Error;
use crate::message::SipMessage;

/// How long a command's final answer may take: a dialled person may ring for a minute.
const COMMAND: Duration = Duration::from_secs(90);
/// A day; a dialog without requests is not an error.
const IDLE: Duration = Duration::from_secs(86_400);

/// What the roster says about one audio endpoint of one user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RosterUser {
    /// The role the user has.
    pub role: String,
    /// `entity` of his audio endpoint.
    pub endpoint: String,
    /// `status` of his audio endpoint: `dialing-out`, `alerting`, `connected` ...
    pub status: String,
    /// `id` of his audio medium.
    pub media: String,
    /// Whether his audio is blocked on its way into the mix.
    pub muted: bool,
}

/// The roster as it was notified.
#[derive(Clone, Debug, Default)]
struct Roster {
    /// Version of the last document; 0 before the first.
    version: u64,
    /// Users by entity.
    users: BTreeMap<String, RosterUser>,
    /// Statuses each user's audio endpoint went through, in order.
    history: BTreeMap<String, Vec<String>>,
    /// What broke a rule of RFC 4575.
    faults: Vec<String>,
}

/// A C3P client. It shares an agent with a phone, so that the conference can call its user.
pub struct ConferenceClient {
    agent: Agent,
    focus: String,
    endpoint: String,
    next_id: u32,
    focus_dialog: Option<mpsc::Sender<Order>>,
    shared: Arc<Mutex<Shared>>,
    changed: watch::Receiver<u64>,
    change: Arc<watch::Sender<u64>>,
}

#[derive(Default)]
struct Shared {
    roster: Roster,
    /// C3P responses that came by INFO, in order.
    responses: Vec<Element>,
    /// The Focus ended our dialog.
    left: bool,
}

/// Requests of the client to the task that owns the Focus dialog.
enum Order {
    Command(String, tokio::sync::oneshot::Sender<Result<SipMessage, Error>>),
    Leave(tokio::sync::oneshot::Sender<Result<SipMessage, Error>>),
}

impl ConferenceClient {
    /// Makes a conference by SERVICE to the organiser's Focus Factory (c3p.md 2.4).
    pub async fn create(agent: Agent, conference_id: &str, subject: &str) -> Result<Self, Error> {
        let organizer = agent.address_of_record();
        let factory = c3p::factory_uri(&organizer);
        let command = c3p::add_conference(conference_id, subject, "openAuthenticated");
        let body = c3p::request(1, &organizer, &factory, &command);
        let mut service = agent.new_request("SERVICE", &factory).with_body(c3p::CONTENT_TYPE, body);
        let response = agent.request(&mut service).await?;
        let response = accepted(&service, response)?;
        let answer = success(&response.body_text(), "1")?;
        let focus = answer.at(&["addConference", "conference-info"]).and_then(|info| info.attribute("entity"));
        let focus = focus.filter(|uri| uri.contains(":focus:id:"));
        let focus = focus.ok_or_else(|| Error::Protocol(format!("no Focus URI in {answer:?}")))?;
        Ok(Self::of(agent, focus))
    }

    /// A client of a conference that exists.
    pub fn of(agent: Agent, focus: &str) -> Self {
        let (change, changed) = watch::channel(0);
        Self {
            agent,
            focus: focus.to_owned(),
            endpoint: format!("{{{}}}", token()),
            next_id: 1,
            focus_dialog: None,
            shared: Arc::default(),
            changed,
            change: Arc::new(change),
        }
    }

    /// The Focus URI.
    pub fn focus(&self) -> &str {
        &self.focus
    }

    /// Joins the Focus by INVITE with `addUser` and gives the role that was granted (c3p.md 2.5).
    pub async fn join(&mut self, role: &str) -> Result<String, Error> {
        let user = self.agent.address_of_record();
        let id = self.take_id();
        let body = c3p::request(id, &user, &self.focus, &c3p::join(&self.focus, &user, &self.endpoint, role));
        // A Focus dialog without a session timer is refused (c3p.md 2.2).
        let invite = self
            .agent
            .new_request("INVITE", &self.focus)
            .with("Supported", "timer")
            .with("Session-Expires", "1800;refresher=uac")
            .with("Accept", c3p::CONTENT_TYPE)
            .with_body(c3p::CONTENT_TYPE, body);
        let (mut dialog, response) = Dialog::open(&self.agent, invite).await?;
        dialog.acknowledge(&response, None).await?;
        let answer = success(&response.body_text(), &id.to_string())?;
        let granted = answer.text_at(&["addUser", "user", "roles", "entry"]).unwrap_or("").to_owned();
        let (sender, orders) = mpsc::channel(8);
        self.focus_dialog = Some(sender);
        tokio::spawn(keep_focus_dialog(dialog, orders, self.shared.clone(), self.change.clone()));
        Ok(granted)
    }

    /// Subscribes to the roster (c3p.md 3.1).
    pub async fn subscribe(&mut self) -> Result<(), Error> {
        let subscribe = self
            .agent
            .new_request("SUBSCRIBE", &self.focus)
            .with("Event", "conference")
            .with("Accept", "application/conference-info+xml")
            .with("Expires", "3600");
        let (dialog, _) = Dialog::open(&self.agent, subscribe).await?;
        tokio::spawn(keep_subscription(dialog, self.shared.clone(), self.change.clone()));
        Ok(())
    }

    /// Gives a command by INFO and waits for its final answer (c3p.md 2.2); a C3P failure is an error.
    pub async fn command(&mut self, command: &str) -> Result<Element, Error> {
        let id = self.start(command).await?;
        self.finished(id).await
    }

    /// Gives a command by INFO and does not wait for its answer; see [`ConferenceClient::finished`].
    pub async fn start(&mut self, command: &str) -> Result<u32, Error> {
        let id = self.take_id();
        let body = c3p::request(id, &self.agent.address_of_record(), &self.focus, command);
        let response = self.order(|reply| Order::Command(body, reply)).await?;
        match response.status() {
            Some(202) => Ok(id),
            other => Err(Error::Protocol(format!("INFO was answered {other:?}, not 202"))),
        }
    }

    /// Waits for the final answer to a command.
    pub async fn finished(&self, id: u32) -> Result<Element, Error> {
        let id = id.to_string();
        let mut answer = None;
        self.until("the answer to a command", COMMAND, |shared| {
            answer = shared.responses.iter().find(|response| is_final(response, &id)).cloned();
            answer.is_some()
        })
        .await?;
        let answer = answer.ok_or(Error::Closed)?;
        if answer.attribute("code") == Some("success") {
            return Ok(answer);
        }
        Err(Error::Protocol(format!("C3P failure: {answer:?}")))
    }

    /// Lets the MCU call somebody and waits until he is connected.
    pub async fn dial_out(&mut self, user: &str) -> Result<Element, Error> {
        let id = self.start_dial_out(user).await?;
        self.finished(id).await
    }

    /// Lets the MCU call somebody and does not wait; see [`ConferenceClient::finished`].
    pub async fn start_dial_out(&mut self, user: &str) -> Result<u32, Error> {
        let endpoint = format!("{{{}}}", token());
        let command = c3p::dial_out(&self.focus, user, &endpoint, "attendee");
        self.start(&command).await
    }

    /// Gives somebody another role: `presenter` or `attendee`.
    pub async fn promote(&mut self, user: &str, role: &str) -> Result<Element, Error> {
        let command = c3p::set_role(&self.focus, user, role);
        self.command(&command).await
    }

    /// Mutes or unmutes somebody's audio.
    pub async fn set_mute(&mut self, user: &str, muted: bool) -> Result<Element, Error> {
        let entry = self.user(user).ok_or_else(|| Error::Protocol(format!("{user} is not in the roster")))?;
        let command = c3p::set_mute(&self.focus, user, &entry.endpoint, &entry.media, muted);
        self.command(&command).await
    }

    /// Ejects somebody.
    pub async fn eject(&mut self, user: &str) -> Result<Element, Error> {
        let command = c3p::delete_user(&self.focus, user);
        self.command(&command).await
    }

    /// Ends the conference. The Focus may end the dialog before it answers; then there is no answer to wait for.
    pub async fn end(&mut self) -> Result<(), Error> {
        let id = self.start(&c3p::delete_conference(&self.focus)).await?.to_string();
        self.until("the end of the conference", COMMAND, |shared| {
            shared.left || shared.responses.iter().any(|response| is_final(response, &id))
        })
        .await
    }

    /// Leaves the Focus.
    pub async fn leave(&mut self) -> Result<(), Error> {
        self.order(Order::Leave).await.map(|_| ())
    }

    /// What the roster says about a user now.
    pub fn user(&self, user: &str) -> Option<RosterUser> {
        self.shared().roster.users.get(user).cloned()
    }

    /// The users who are in the roster now.
    pub fn users(&self) -> Vec<String> {
        self.shared().roster.users.keys().cloned().collect()
    }

    /// The statuses a user's audio endpoint went through.
    pub fn history(&self, user: &str) -> Vec<String> {
        self.shared().roster.history.get(user).cloned().unwrap_or_default()
    }

    /// The version of the last roster document.
    pub fn roster_version(&self) -> u64 {
        self.shared().roster.version
    }

    /// What broke a rule of RFC 4575 so far: versions that do not rise by one, a first document that is not full.
    pub fn roster_faults(&self) -> Vec<String> {
        self.shared().roster.faults.clone()
    }

    /// Waits until the roster's entry of a user (or its absence) is as wanted.
    pub async fn until_user(
        &self,
        user: &str,
        within: Duration,
        wanted: impl Fn(Option<&RosterUser>) -> bool,
    ) -> Result<(), Error> {
        let what = format!("the roster's entry of {user}");
        self.until(&what, within, |shared| wanted(shared.roster.users.get(user))).await
    }

    /// Waits until the Focus ends our dialog.
    pub async fn until_removed(&self, within: Duration) -> Result<(), Error> {
        self.until("the end of the Focus dialog", within, |shared| shared.left).await
    }

    async fn until(&self, what: &str, within: Duration, mut wanted: impl FnMut(&Shared) -> bool) -> Result<(), Error> {
        let mut changed = self.changed.clone();
        let wait = changed.wait_for(|_| wanted(&self.shared()));
        match tokio::time::timeout(within, wait).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(Error::Closed),
            Err(_) => Err(Error::Timeout(format!("{what}; roster now: {:?}", self.shared().roster))),
        }
    }

    async fn order(
        &self,
        make: impl FnOnce(tokio::sync::oneshot::Sender<Result<SipMessage, Error>>) -> Order,
    ) -> Result<SipMessage, Error> {
        let (reply, result) = tokio::sync::oneshot::channel();
        let dialog = self.focus_dialog.as_ref().ok_or(Error::Closed)?;
        dialog.send(make(reply)).await.map_err(|_| Error::Closed)?;
        result.await.map_err(|_| Error::Closed)?
    }

    fn take_id(&mut self) -> u32 {
        self.next_id += 1;
        self.next_id
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().expect("no holder panics")
    }
}

/// Sends commands in the Focus dialog and files the answers that come in it.
async fn keep_focus_dialog(
    mut dialog: Dialog,
    mut orders: mpsc::Receiver<Order>,
    shared: Arc<Mutex<Shared>>,
    change: Arc<watch::Sender<u64>>,
) {
    loop {
        tokio::select! {
            request = dialog.next_request(IDLE) => {
                let Ok(request) = request else { return };
                let over = on_focus_request(&request, &shared).await;
                change.send_modify(|count| *count += 1);
                if over {
                    return;
                }
            }
            order = orders.recv() => match order {
                Some(Order::Command(body, reply)) => {
                    let info = dialog.new_request("INFO").with_body(c3p::CONTENT_TYPE, body);
                    let _ = reply.send(dialog.send(info).await);
                }
                Some(Order::Leave(reply)) => {
                    let bye = dialog.new_request("BYE");
                    let _ = reply.send(dialog.send(bye).await);
                    return;
                }
                None => {
                    let bye = dialog.new_request("BYE");
                    let _ = dialog.send(bye).await;
                    return;
                }
            },
        }
    }
}

/// Files a request of the Focus; true when it ended the dialog.
async fn on_focus_request(request: &IncomingRequest, shared: &Mutex<Shared>) -> bool {
    let method = request.message.method();
    if method == "ACK" {
        return false;
    }
    let _ = request.respond(200, "OK").await;
    let mut shared = shared.lock().expect("no holder panics");
    if method == "INFO"
        && let Some(response) = Element::parse(&request.message.body_text())
    {
        shared.responses.push(response);
    }
    shared.left |= method == "BYE";
    method == "BYE"
}

/// Files the roster's notifications until the subscription ends.
async fn keep_subscription(mut dialog: Dialog, shared: Arc<Mutex<Shared>>, change: Arc<watch::Sender<u64>>) {
    while let Ok(request) = dialog.next_request(IDLE).await {
        // BENOTIFY wants no answer (c3p.md 3.1).
        if request.message.method() != "BENOTIFY" {
            let _ = request.respond(200, "OK").await;
        }
        let state = request.message.header("Subscription-State").unwrap_or("").to_owned();
        if let Some(document) = Element::parse(&request.message.body_text()) {
            shared.lock().expect("no holder panics").roster.apply(&document);
        }
        change.send_modify(|count| *count += 1);
        if state.starts_with("terminated") {
            return;
        }
    }
}

impl Roster {
    /// Merges one conference-info document (RFC 4575 4.4, 4.6).
    fn apply(&mut self, document: &Element) {
        let version = document.attribute("version").and_then(|text| text.parse().ok()).unwrap_or(0);
        let full = document.attribute("state").unwrap_or("full") == "full";
        if self.version == 0 && !full {
            self.faults.push("the first document is not full".to_owned());
        }
        if self.version != 0 && version != self.version + 1 {
            self.faults.push(format!("version {version} follows {}", self.version));
        }
        self.version = version;
        if document.attribute("state") == Some("deleted") {
            self.users.clear();
            return;
        }
        let Some(users) = document.child("users") else { return };
        if full && users.attribute("state").unwrap_or("full") == "full" {
            self.users.clear();
        }
        for user in users.all("user") {
            self.apply_user(user);
        }
    }

    fn apply_user(&mut self, user: &Element) {
        let Some(entity) = user.attribute("entity") else { return };
        if user.attribute("state") == Some("deleted") {
            self.users.remove(entity);
            return;
        }
        let entry = self.users.entry(entity.to_owned()).or_default();
        if let Some(role) = user.text_at(&["roles", "entry"]) {
            entry.role = role.to_owned();
        }
        let is_audio = |endpoint: &&Element| endpoint.attribute("session-type") == Some("audio-video");
        for endpoint in user.all("endpoint").filter(is_audio) {
            if endpoint.attribute("state") == Some("deleted") {
                *entry = RosterUser { role: entry.role.clone(), ..RosterUser::default() };
                continue;
            }
            entry.endpoint = endpoint.attribute("entity").unwrap_or("").to_owned();
            if let Some(status) = endpoint.text_at(&["status"]) {
                if entry.status != status {
                    self.history.entry(entity.to_owned()).or_default().push(status.to_owned());
                }
                entry.status = status.to_owned();
            }
            if let Some(media) = endpoint.child("media") {
                entry.media = media.attribute("id").unwrap_or("").to_owned();
                entry.muted = media.text_at(&["media-ingress-filter"]) == Some("block");
            }
        }
    }
}

fn is_final(response: &Element, id: &str) -> bool {
    response.attribute("requestId") == Some(id) && response.attribute("code") != Some("pending")
}

/// The C3P response in a body if it answers that request with success.
fn success(body: &str, id: &str) -> Result<Element, Error> {
    let answer = Element::parse(body).ok_or_else(|| Error::Protocol(format!("not C3P: {body:?}")))?;
    match (answer.attribute("requestId") == Some(id), answer.attribute("code")) {
        (true, Some("success")) => Ok(answer),
        _ => Err(Error::Protocol(format!("not a success of request {id}: {answer:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(version: u64, state: &str, user: &str) -> Element {
        let text = format!(
            r#"<conference-info xmlns:msci="x" entity="f" state="{state}" version="{version}"><users state="{state}">{user}</users></conference-info>"#
        );
        Element::parse(&text).expect("valid")
    }

    fn user(status: &str) -> String {
        format!(
            r#"<user entity="sip:bob@x" state="full"><roles><entry>attendee</entry></roles>
            <endpoint entity="{{1}}" msci:session-type="audio-video"><status>{status}</status>
            <media id="1"><msci:media-ingress-filter>block</msci:media-ingress-filter></media></endpoint></user>"#
        )
    }

    #[test]
    fn a_roster_is_merged_and_its_faults_are_noted() {
        let mut roster = Roster::default();
        roster.apply(&document(1, "full", &user("dialing-out")));
        roster.apply(&document(2, "partial", &user("connected")));
        let bob = &roster.users["sip:bob@x"];
        assert_eq!((bob.status.as_str(), bob.muted, bob.role.as_str()), ("connected", true, "attendee"));
        assert_eq!(roster.history["sip:bob@x"], ["dialing-out", "connected"]);
        assert!(roster.faults.is_empty());
        roster.apply(&document(4, "partial", r#"<user entity="sip:bob@x" state="deleted"/>"#));
        assert!(roster.users.is_empty());
        assert_eq!(roster.faults, ["version 4 follows 2"]);
    }
}
