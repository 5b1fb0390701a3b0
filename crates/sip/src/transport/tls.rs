//! Certificates, keys and trust, out of the configuration into rustls.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::config::{StartError, TlsConfig, TrustAnchors};

/// Both ends of TLS.
pub(super) struct Tls {
    /// For connections we accept.
    pub acceptor: TlsAcceptor,
    /// For connections we open; shows our certificate to a server that asks for one.
    pub connector: TlsConnector,
}

impl Tls {
    /// Reads the files. TLS 1.2 and 1.3 only (reliability.md 32).
    pub(super) fn load(config: &TlsConfig) -> Result<Self, StartError> {
        let provider = provider();
        let chain = certificates("sip.tls.certificate", &config.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&config.key)
            .map_err(|error| wrong("sip.tls.key", &config.key, &format!("{error}")))?;
        let unusable = |error: rustls::Error| wrong("sip.tls.certificate", &config.certificate, &error.to_string());

        let server = ServerConfig::builder_with_provider(provider.clone());
        let server = server.with_safe_default_protocol_versions().map_err(unusable)?;
        let server = match &config.client_ca {
            None => server.with_no_client_auth(),
            Some(path) => {
                let roots = Arc::new(roots("sip.tls.client_ca", path)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
                // A phone without a certificate may still come in and prove itself by digest, unless that is not wanted.
                let verifier = if config.client_required { verifier } else { verifier.allow_unauthenticated() };
                let verifier =
                    verifier.build().map_err(|error| wrong("sip.tls.client_ca", path, &error.to_string()))?;
                server.with_client_cert_verifier(verifier)
            }
        };
        let server = server.with_single_cert(chain.clone(), key.clone_key()).map_err(unusable)?;

        let client = ClientConfig::builder_with_provider(provider);
        let client = client.with_safe_default_protocol_versions().map_err(unusable)?;
        let client = client.with_root_certificates(server_roots(&config.server_ca)?);
        let client = client.with_client_auth_cert(chain, key).map_err(unusable)?;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(server)), connector: TlsConnector::from(Arc::new(client)) })
    }
}

/// The names in a certificate that rustls has verified: DNS names and URIs.
pub(super) fn names(certificates: Option<&[CertificateDer<'_>]>) -> Vec<String> {
    let Some(certificate) = certificates.and_then(|chain| chain.first()) else { return Vec::new() };
    match webpki::EndEntityCert::try_from(certificate) {
        Ok(parsed) => parsed.valid_dns_names().chain(parsed.valid_uri_names()).map(str::to_owned).collect(),
        Err(_) => Vec::new(),
    }
}

/// Our provider. Other parts of the process use rustls too, so it also becomes the default, unless there is one.
fn provider() -> Arc<CryptoProvider> {
    let _already_installed = ring::default_provider().install_default();
    Arc::new(ring::default_provider())
}

fn wrong(setting: &'static str, path: &Path, reason: &str) -> StartError {
    StartError::Tls { setting, path: path.to_owned(), reason: reason.to_owned() }
}

fn certificates(setting: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, StartError> {
    let unreadable = |error: rustls_pki_types::pem::Error| wrong(setting, path, &error.to_string());
    let found: Vec<_> =
        CertificateDer::pem_file_iter(path).map_err(unreadable)?.collect::<Result<_, _>>().map_err(unreadable)?;
    if found.is_empty() { Err(wrong(setting, path, "it holds no certificate")) } else { Ok(found) }
}

fn roots(setting: &'static str, path: &Path) -> Result<RootCertStore, StartError> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates(setting, path)?);
    if added == 0 { Err(wrong(setting, path, "it holds no usable authority")) } else { Ok(roots) }
}

fn server_roots(anchors: &TrustAnchors) -> Result<RootCertStore, StartError> {
    match anchors {
        TrustAnchors::File(path) => roots("sip.tls.server_ca", path),
        TrustAnchors::System => match system_bundle() {
            Some(path) => roots("sip.tls.server_ca", &path),
            None => {
                tracing::warn!("no bundle of certificate authorities found: TLS connections we open will be refused");
                Ok(RootCertStore::empty())
            }
        },
    }
}

/// Where OpenSSL users and the usual distributions keep the authorities.
fn system_bundle() -> Option<PathBuf> {
    let usual = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    named.into_iter().chain(usual.map(PathBuf::from)).find(|path| path.is_file())
}
