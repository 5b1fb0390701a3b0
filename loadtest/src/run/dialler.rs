//! Lets conferences call people: a C3P client for each conference that does, on a thread of their own.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::JoinHandle;

use testkit::{Agent, AgentOptions, ConferenceClient, Credentials};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::Failure;

/// Asks conferences to call users.
pub struct Dialler {
    orders: UnboundedSender<(String, String)>,
    complaints: mpsc::Receiver<String>,
    thread: Option<JoinHandle<()>>,
}

impl Dialler {
    /// Starts the thread; whoever leads the conferences is the user `organizer` of that domain.
    pub fn start(server: SocketAddr, domain: &str, organizer: &Credentials) -> Result<Self, Failure> {
        let options = AgentOptions::new(&organizer.user, domain, &organizer.password, server);
        let (orders, waiting) = unbounded_channel();
        let (complain, complaints) = mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("dialler".to_owned()).spawn(move || {
            runtime.block_on(async {
                if let Err(error) = dial(options, waiting, &complain).await {
                    let _ = complain.send(error.to_string());
                }
            });
        })?;
        Ok(Self { orders, complaints, thread: Some(thread) })
    }

    /// Lets the conference of that Focus call a user.
    pub fn call(&self, focus: String, user: String) {
        // A thread that is gone has complained.
        let _ = self.orders.send((focus, user));
    }

    /// What went wrong so far.
    pub fn complaints(&self) -> Vec<String> {
        self.complaints.try_iter().collect()
    }
}

impl Drop for Dialler {
    fn drop(&mut self) {
        // The thread ends with its orders.
        self.orders = unbounded_channel().0;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn dial(
    options: AgentOptions,
    mut orders: UnboundedReceiver<(String, String)>,
    complain: &mpsc::Sender<String>,
) -> Result<(), testkit::Error> {
    let (agent, _requests) = Agent::open(options).await?;
    let mut clients: HashMap<String, ConferenceClient> = HashMap::new();
    while let Some((focus, user)) = orders.recv().await {
        if !clients.contains_key(&focus) {
            let mut client = ConferenceClient::of(agent.clone(), &focus);
            client.join("presenter").await?;
            clients.insert(focus.clone(), client);
        }
        let Some(client) = clients.get_mut(&focus) else { continue };
        if let Err(error) = client.start_dial_out(&user).await {
            let _ = complain.send(format!("dial-out of {user}: {error}"));
        }
    }
    for client in clients.values_mut() {
        let _ = client.leave().await;
    }
    Ok(())
}
