//! TLS by libpq's words: `sslmode` and `sslrootcert` of a connection URL.

mod connector;
mod end_point;

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres::config::SslMode;

pub(super) use self::connector::Connector;

/// What a connection URL says about TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TlsOptions {
    mode: Mode,
    roots: Option<Roots>,
}

/// `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// `sslrootcert`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Roots {
    System,
    File(PathBuf),
}

impl TlsOptions {
    /// As libpq does it, an unnamed mode is `prefer`.
    pub(super) fn new(mode: Option<&str>, roots: Option<&str>) -> Result<Self, String> {
        let mode = match mode.unwrap_or("prefer") {
            "disable" => Mode::Disable,
            "prefer" => Mode::Prefer,
            "require" => Mode::Require,
            "verify-ca" => Mode::VerifyCa,
            "verify-full" => Mode::VerifyFull,
            other => {
                return Err(format!(
                    "`sslmode={other}` is not one of disable, prefer, require, verify-ca and verify-full"
                ));
            }
        };
        let roots = roots.map(|roots| if roots == "system" { Roots::System } else { Roots::File(roots.into()) });
        Ok(TlsOptions { mode, roots })
    }

    /// How the driver is to ask for TLS.
    pub(super) fn driver_mode(&self) -> SslMode {
        match self.mode {
            Mode::Disable => SslMode::Disable,
            Mode::Prefer => SslMode::Prefer,
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => SslMode::Require,
        }
    }

    /// What is verified: with a root certificate, `require` verifies like `verify-ca`. Without any, `require` and `prefer`
    /// encrypt only, and the verifying modes use the system's roots.
    pub(super) fn connector(&self) -> Result<Connector, String> {
        let provider = Arc::new(ring::default_provider());
        let verifies = match self.mode {
            Mode::Disable | Mode::Prefer => false,
            Mode::Require => self.roots.is_some(),
            Mode::VerifyCa | Mode::VerifyFull => true,
        };
        let trust = if verifies { Some(Trust::new(self.roots.as_ref(), &provider)?) } else { None };
        let verifier = Verifier { trust, checks_name: self.mode == Mode::VerifyFull, provider: provider.clone() };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Connector::new(config))
    }
}

/// The certificates that are trusted.
#[derive(Debug)]
struct Trust {
    roots: Vec<CertificateDer<'static>>,
    chain: Arc<WebPkiServerVerifier>,
}

impl Trust {
    fn new(roots: Option<&Roots>, provider: &Arc<CryptoProvider>) -> Result<Self, String> {
        let (roots, place) = match roots {
            Some(Roots::File(path)) => {
                let place = format!("`sslrootcert={}`", path.display());
                let roots = CertificateDer::pem_file_iter(path)
                    .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                    .map_err(|error| format!("{place} cannot be read: {error}"))?;
                (roots, place)
            }
            Some(Roots::System) | None => {
                (rustls_native_certs::load_native_certs().certs, "the system's store of root certificates".to_owned())
            }
        };
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots.iter().cloned());
        if store.is_empty() {
            return Err(format!("{place} holds no certificate; name a PEM file with `sslrootcert`"));
        }
        let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider.clone())
            .build()
            .map_err(|error| format!("{place}: {error}"))?;
        Ok(Trust { roots, chain })
    }
}

#[derive(Debug)]
struct Verifier {
    trust: Option<Trust>,
    checks_name: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(trust) = &self.trust else { return Ok(ServerCertVerified::assertion()) };
        // A self-signed certificate that is itself the root is what most private servers have. The chain's verifier
        // refuses an authority's certificate as a server's; libpq does not.
        if trust.roots.iter().any(|root| root == end_entity) {
            if self.checks_name {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            }
            return Ok(ServerCertVerified::assertion());
        }
        match trust.chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name is looked at after everything else was found to be right.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.checks_name => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
