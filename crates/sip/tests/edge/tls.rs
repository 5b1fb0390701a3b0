//! TLS in both directions, with and without client certificates.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use sip::{DropReason, ListenAddress, SipConfig, StartError, TlsConfig, TrustAnchors};
use sip_api::{
    ClientFailure, ClientTransactionId, Headers, Method, Request, Response, SipCommand, SipEvent, SipUri, Transport,
};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::support::{Phone, World, config, request};

/// An authority, and what it signed, as PEM files.
struct Pki {
    folder: TempDir,
    authority: Issuer<'static, KeyPair>,
}

impl Pki {
    fn new() -> Self {
        let folder = TempDir::new().expect("folder");
        let key = KeyPair::generate().expect("key");
        let mut params = CertificateParams::new(vec![]).expect("params");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("certificate");
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).expect("written");
        Self { folder, authority: Issuer::new(params, key) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes NAME.pem and NAME.key.
    fn sign(&self, name: &str, hosts: &[&str], uri: Option<&str>) {
        let key = KeyPair::generate().expect("key");
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).expect("params");
        params.subject_alt_names.extend(uri.map(|uri| SanType::URI(uri.try_into().expect("ASCII"))));
        let certificate: Certificate = params.signed_by(&key, &self.authority).expect("signed");
        std::fs::write(self.path(&format!("{name}.pem")), certificate.pem()).expect("written");
        std::fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).expect("written");
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(self.chain("ca"));
        assert_eq!(added, 1);
        roots
    }

    fn chain(&self, name: &str) -> Vec<CertificateDer<'static>> {
        let path = self.path(&format!("{name}.pem"));
        CertificateDer::pem_file_iter(path).expect("readable").map(|found| found.expect("a certificate")).collect()
    }

    fn key(&self, name: &str) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_file(self.path(&format!("{name}.key"))).expect("a key")
    }

    fn config(&self) -> SipConfig {
        self.sign("server", &["127.0.0.1", "example.com"], None);
        let mut config = config();
        config.listen.push(ListenAddress::new(Transport::Tls, "127.0.0.1:0".parse().expect("address")));
        config.tls = Some(TlsConfig {
            certificate: self.path("server.pem"),
            key: self.path("server.key"),
            client_ca: Some(self.path("ca.pem")),
            client_required: false,
            server_ca: TrustAnchors::File(self.path("ca.pem")),
        });
        config
    }

    async fn connect(&self, world: &World, client: Option<&str>) -> std::io::Result<Phone<TlsStream<TcpStream>>> {
        let builder = ClientConfig::builder().with_root_certificates(self.roots());
        let client = match client {
            None => builder.with_no_client_auth(),
            Some(name) => builder.with_client_auth_cert(self.chain(name), self.key(name)).expect("usable"),
        };
        let stream = TcpStream::connect(world.address(Transport::Tls)).await?;
        let local = stream.local_addr()?;
        let name = ServerName::try_from("example.com").expect("a name");
        Ok(Phone::on(local, TlsConnector::from(Arc::new(client)).connect(name, stream).await?))
    }
}

fn message(branch: &str) -> String {
    let via = format!("TLS 127.0.0.1:9;branch=z9hG4bK{branch}");
    let headers = "To: <sip:bob@example.com>\r\nP-Asserted-Identity: <sip:boss@example.com>\r\n";
    request("MESSAGE sip:bob@example.com", &via, 1, headers, "")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_may_prove_a_user_or_a_trusted_peer() {
    let pki = Pki::new();
    pki.sign("ann", &[], Some("sip:ann@example.com"));
    pki.sign("bob", &[], Some("sip:bob@example.com"));
    pki.sign("trunk", &["trunk.example.net"], None);
    let mut config = pki.config();
    config.trusted_names = vec!["trunk.example.net".to_owned()];
    let mut world = World::with(config, 100).await;
    for (client, user, trusted) in [
        (None, None, false),
        (Some("ann"), Some("sip:ann@example.com"), false),
        (Some("bob"), None, false),
        (Some("trunk"), None, true),
    ] {
        let mut phone = pki.connect(&world, client).await.expect("connected");
        phone.send_all(&message(client.unwrap_or("none"))).await;
        let SipEvent::Request { transaction, request, flow, user: proven } = world.event().await else {
            panic!("no request")
        };
        assert_eq!(proven.as_ref().map(|user| user.as_str()), user, "{client:?}");
        assert_eq!(request.headers.get("P-Asserted-Identity").is_some(), trusted, "{client:?}");
        assert_eq!((flow.transport, flow.remote), (Transport::Tls, phone.local));
        world.handle(SipCommand::Respond { transaction, response: Response::new(200) });
        phone.expect_next(200).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_a_stranger_is_refused() {
    let (pki, strangers) = (Pki::new(), Pki::new());
    strangers.sign("ann", &[], Some("sip:ann@example.com"));
    std::fs::copy(strangers.path("ann.pem"), pki.path("forged.pem")).expect("copied");
    std::fs::copy(strangers.path("ann.key"), pki.path("forged.key")).expect("copied");
    let mut world = World::with(pki.config(), 100).await;
    // With TLS 1.3 the client only learns of it when it reads.
    if let Ok(mut phone) = pki.connect(&world, Some("forged")).await {
        assert!(phone.next().await.is_none());
    }
    let mut clear = TcpStream::connect(world.address(Transport::Tls)).await.expect("connected");
    tokio::io::AsyncWriteExt::write_all(&mut clear, message("1").as_bytes()).await.expect("sent");
    let mut phone = Phone::on(clear.local_addr().expect("address"), clear);
    let refused = async { tokio::io::AsyncReadExt::read_to_end(&mut phone.wire, &mut Vec::new()).await };
    let _closed_or_reset = refused.await;
    assert_eq!(world.edge.counters().dropped(DropReason::Handshake), 2);
    assert!(world.pending().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_certificate_is_required_nobody_comes_in_without_one() {
    let pki = Pki::new();
    pki.sign("ann", &[], Some("sip:ann@example.com"));
    let mut config = pki.config();
    config.tls.iter_mut().for_each(|tls| tls.client_required = true);
    let mut world = World::with(config, 100).await;
    // With TLS 1.3 the client only learns of it when it reads.
    if let Ok(mut phone) = pki.connect(&world, None).await {
        assert!(phone.next().await.is_none());
    }
    assert_eq!(world.edge.counters().dropped(DropReason::Handshake), 1);
    let mut phone = pki.connect(&world, Some("ann")).await.expect("connected");
    phone.send_all(&message("1")).await;
    assert!(matches!(world.event().await, SipEvent::Request { user: Some(_), .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_we_open_check_the_server_and_show_our_certificate() {
    let (pki, strangers) = (Pki::new(), Pki::new());
    for (server, failure) in [(&pki, None), (&strangers, Some(ClientFailure::Transport))] {
        let mut world = World::with(pki.config(), 100).await;
        server.sign("peer", &["127.0.0.1"], None);
        let verifier = rustls::server::WebPkiClientVerifier::builder(Arc::new(pki.roots())).build().expect("verifier");
        let builder = ServerConfig::builder().with_client_cert_verifier(verifier);
        let server = builder.with_single_cert(server.chain("peer"), server.key("peer")).expect("usable");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("socket");
        let remote = listener.local_addr().expect("address");
        let mut request = Request::new(Method::Options, SipUri::parse(&format!("sips:bob@{remote}")).expect("valid"));
        request.headers = Headers::new()
            .with("From", "<sip:us@example.com>;tag=1")
            .with("To", "<sip:bob@example.com>")
            .with("Call-ID", "c")
            .with("CSeq", "1 OPTIONS");
        let transaction = ClientTransactionId(1);
        world.handle(SipCommand::Send { transaction, request, flow: None });
        let (stream, _) = listener.accept().await.expect("a connection");
        let accepted = TlsAcceptor::from(Arc::new(server)).accept(stream).await;
        match failure {
            None => {
                let mut phone = Phone::on(remote, accepted.expect("a handshake"));
                assert!(phone.next().await.expect("a request").get("Via").starts_with("SIP/2.0/TLS"));
            }
            Some(failure) => assert_eq!(world.event().await, SipEvent::Failed { transaction, failure }),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_settings_are_refused_with_a_remedy() {
    let pki = Pki::new();
    let good = pki.config();
    let tls = |change: &dyn Fn(&mut TlsConfig)| {
        let mut config = good.clone();
        config.tls.iter_mut().for_each(change);
        config
    };
    let mut taken = config();
    let world = World::new().await;
    taken.listen = world.edge.local_addresses();
    let mut no_tls = good.clone();
    no_tls.tls = None;
    let mut dscp = config();
    dscp.dscp = Some(64);
    for (config, part) in [
        (taken, "cannot listen on udp:127.0.0.1:"),
        (no_tls, "sip.tls is not set"),
        (dscp, "sip.dscp = 64"),
        (SipConfig::new("example.com", vec![]), "sip.listen is empty"),
        (SipConfig::new("a b", config().listen), "domain = \"a b\""),
        (tls(&|tls| tls.certificate = PathBuf::from("/nowhere")), "sip.tls.certificate = \"/nowhere\""),
        (tls(&|tls| tls.key = pki.path("server.pem")), "sip.tls.key"),
        (tls(&|tls| tls.client_ca = Some(pki.path("server.key"))), "sip.tls.client_ca"),
        (tls(&|tls| tls.server_ca = TrustAnchors::File(PathBuf::from("/nowhere"))), "sip.tls.server_ca"),
    ] {
        let error: StartError = World::try_with(config).await.err().expect(part);
        assert!(error.to_string().contains(part), "{error}");
    }
}
