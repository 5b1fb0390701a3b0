//! The server under test: the real binary with a configuration of its own on free loopback ports.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::ports;
use crate::process::Process;
use crate::wait::eventually;

/// The password of every user of the tests.
pub const PASSWORD: &str = "correct-horse-7";

/// What a server is configured with.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The domain of its users.
    pub domain: String,
    /// Users besides `user1` to `userN`.
    pub users: Vec<String>,
    /// How many users named `user1`, `user2` ... there are.
    pub numbered_users: usize,
    /// Permanent conferences: number, PIN, access.
    pub conferences: Vec<(String, Option<String>, &'static str)>,
    /// How many legs there are ports for, two for each.
    pub media_legs: usize,
    /// Listen with TLS too.
    pub certificate: Option<Certificate>,
    /// Further lines at the head of the configuration file, outside every section.
    pub head: String,
    /// Further lines of its section `[sip]`.
    pub sip: String,
    /// Further lines of the configuration file.
    pub extra: String,
}

impl Default for ServerOptions {
    /// Ten users and the conference 1000, open, without a PIN; the domain is the address.
    fn default() -> Self {
        Self {
            domain: "127.0.0.1".to_owned(),
            users: Vec::new(),
            numbered_users: 10,
            conferences: vec![("1000".to_owned(), None, "anonymous")],
            media_legs: 200,
            certificate: None,
            head: String::new(),
            sip: String::new(),
            extra: String::new(),
        }
    }
}

/// A running server. Dropping it ends it; when the test failed, the end of its log is printed.
pub struct Server {
    process: Process,
    sip: SocketAddr,
    tls: SocketAddr,
    http: SocketAddr,
    domain: String,
    folder: TempDir,
}

impl Server {
    /// The binary: `CONVOKE_BIN`, else the one beside the running test. `None` when it is not there or cannot print its
    /// default configuration yet.
    pub fn binary() -> Option<PathBuf> {
        let beside = || Some(std::env::current_exe().ok()?.parent()?.parent()?.join("convoke"));
        let path = std::env::var_os("CONVOKE_BIN").map(PathBuf::from).or_else(beside)?;
        let defaults = Command::new(&path).args(["config", "print-default"]).output().ok()?;
        (!defaults.stdout.is_empty()).then_some(path)
    }

    /// Starts the server and waits until it is ready.
    pub fn start(options: &ServerOptions) -> Self {
        let binary = Self::binary().expect("the server's binary is built: cargo build -p convoke, or set CONVOKE_BIN");
        let folder = tempfile::Builder::new().prefix("convoke-").tempdir().expect("temporary folder");
        let first = ports::free(4 + options.media_ports());
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let (sip, tls, http) = (at(first), at(first + 1), at(first + 2));
        let config = folder.path().join("convoke.toml");
        let text = options.to_toml(&folder.path().join("data"), sip, tls, http, first + 4);
        std::fs::write(&config, text).expect("written");
        let mut command = Command::new(binary);
        command.arg("serve").arg("--config").arg(&config).current_dir(folder.path());
        let process = Process::start(command, &folder.path().join("log"), Stdio::null());
        let mut server = Self { process, sip, tls, http, domain: options.domain.clone(), folder };
        server.wait_ready();
        server
    }

    /// Where it receives SIP over UDP and TCP.
    pub fn sip(&self) -> SocketAddr {
        self.sip
    }

    /// Where it receives SIP over TLS.
    pub fn tls(&self) -> SocketAddr {
        self.tls
    }

    /// Where it receives HTTP.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// The domain of its users.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// `sip:NUMBER@ADDRESS`, for phones that know the server by its address.
    pub fn conference(&self, number: &str) -> String {
        format!("sip:{number}@{}", self.sip)
    }

    /// The same over TCP or TLS.
    pub fn conference_over(&self, number: &str, transport: &str) -> String {
        let address = if transport == "tls" { self.tls } else { self.sip };
        format!("sip:{number}@{address};transport={transport}")
    }

    /// What the server wrote so far.
    pub fn log(&self) -> String {
        self.process.output()
    }

    /// The status and body of a GET.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        self.send("GET", path, "")
    }

    /// Ends the server as a power failure of its process would (SIGKILL), and starts it again on what it left.
    pub fn crash_and_restart(&mut self) {
        self.process.kill();
        self.start_again();
    }

    /// Starts the server again in its folder, after it has ended.
    pub fn start_again(&mut self) {
        let mut command = Command::new(Self::binary().expect("it was there before"));
        command.arg("serve").arg("--config").arg(self.folder.path().join("convoke.toml"));
        command.current_dir(self.folder.path());
        self.process = Process::start(command, &self.folder.path().join("log-2"), Stdio::null());
        self.wait_ready();
    }

    /// What a command of the binary prints, given this server's configuration file, and whether it succeeded.
    pub fn command(&self, arguments: &[&str]) -> (bool, String) {
        let binary = Self::binary().expect("it was there before");
        let mut command = Command::new(binary);
        command.args(arguments).current_dir(self.folder.path());
        let output = command.output().expect("the binary starts");
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.success(), text)
    }

    /// A file of the server's folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The status and body of a POST of JSON.
    pub fn post(&self, path: &str, body: &str) -> Option<(u16, String)> {
        self.send("POST", path, body)
    }

    /// The status and body of a PUT of JSON.
    pub fn put(&self, path: &str, body: &str) -> Option<(u16, String)> {
        self.send("PUT", path, body)
    }

    /// The status and body of an HTTP request; a body is JSON.
    pub fn send(&self, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(self.http).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}",
            self.http
        )
        .ok()?;
        let mut response = String::new();
        stream.read_to_string(&mut response).ok()?;
        let (head, body) = response.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    /// Ends the server with SIGTERM and tells whether it ended with status 0.
    pub fn stop(mut self) -> bool {
        self.terminate()
    }

    /// The same; the folder it leaves can still be looked at.
    pub fn terminate(&mut self) -> bool {
        self.process.stop(Duration::from_secs(20)).is_some_and(|status| status.success())
    }

    /// Does to the server what the end of its terminal does.
    pub fn hang_up_terminal(&self) {
        self.process.signal("HUP");
    }

    /// Does to the server what a write past a limit on the size of files does.
    pub fn reach_file_size_limit(&self) {
        self.process.signal("XFSZ");
    }

    fn wait_ready(&mut self) {
        let mut ready = false;
        let mut decided = || {
            ready = self.get("/readyz").is_some_and(|(status, _)| status == 200);
            ready || self.process.has_ended()
        };
        eventually("ready server", &mut decided, || "the server runs but is not ready".to_owned());
        assert!(ready, "the server ended at its start\n{}", self.process.tail());
    }
}

impl Drop for Server {
    #[allow(clippy::print_stderr, reason = "the server's log explains a failed test")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}\n(configuration: {})", self.process.tail(), self.folder.path().display());
        }
    }
}

impl ServerOptions {
    /// Ports for the legs, and as many again: those of a finished leg drain for a while.
    fn media_ports(&self) -> u16 {
        u16::try_from(self.media_legs * 4).map_or(16_000, |ports| ports.clamp(40, 16_000))
    }

    fn to_toml(&self, data: &Path, sip: SocketAddr, tls: SocketAddr, http: SocketAddr, media: u16) -> String {
        let data = data.display().to_string();
        let mut text = format!("data_dir = {data:?}\ndomain = {:?}\n{}\n\n[sip]\n", self.domain, self.head);
        match &self.certificate {
            None => _ = writeln!(text, "listen = [\"udp:{sip}\", \"tcp:{sip}\"]\n{}", self.sip),
            Some(certificate) => {
                let (chain, key) = (certificate.chain.display(), certificate.key.display());
                _ = writeln!(text, "listen = [\"udp:{sip}\", \"tcp:{sip}\", \"tls:{tls}\"]\n{}", self.sip);
                _ = writeln!(text, "\n[sip.tls]\ncertificate = \"{chain}\"\nkey = \"{key}\"");
            }
        }
        let last = media + self.media_ports() - 1;
        _ = writeln!(
            text,
            "\n[http]\nlisten = \"{http}\"\n\n[media]\naddress = \"127.0.0.1\"\nports = \"{media}-{last}\""
        );
        let numbered = (1..=self.numbered_users).map(|number| format!("user{number}"));
        for user in numbered.chain(self.users.iter().cloned()) {
            _ = writeln!(text, "\n[[user]]\nuri = \"sip:{user}@{}\"\npassword = {PASSWORD:?}", self.domain);
        }
        for (number, pin, access) in &self.conferences {
            _ = writeln!(
                text,
                "\n[[conference]]\nnumber = {number:?}\naccess = {access:?}\nsubject = \"Test {number}\""
            );
            _ = writeln!(text, "organizer = \"sip:user1@{}\"", self.domain);
            if let Some(pin) = pin {
                _ = writeln!(text, "pin = {pin:?}");
            }
        }
        text.push_str(&self.extra);
        text
    }
}

/// A throw-away CA and a certificate for 127.0.0.1 signed by it.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// What clients trust.
    pub ca: PathBuf,
    /// The server's certificate.
    pub chain: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Certificate {
    /// Makes both in a folder with the openssl command.
    pub fn make(folder: &Path) -> Self {
        let script = "
            openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj '/CN=Convoke test CA' -keyout ca.key -out ca.pem
            openssl req -newkey rsa:2048 -nodes -subj '/CN=127.0.0.1' -keyout server.key -out server.csr
            printf 'subjectAltName=IP:127.0.0.1\\nbasicConstraints=CA:FALSE\\nextendedKeyUsage=serverAuth\\n' > extensions
            openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extensions -out server.pem
        ";
        let output = Command::new("sh").args(["-e", "-c", script]).current_dir(folder).output().expect("a shell");
        assert!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
        let at = |name| folder.join(name);
        Self { ca: at("ca.pem"), chain: at("server.pem"), key: at("server.key") }
    }
}
