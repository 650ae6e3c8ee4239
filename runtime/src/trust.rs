//! The certificate authorities that this machine trusts, written down for those who have none: the
//! containers' image is empty.

use base64::prelude::{BASE64_STANDARD, Engine};

/// Characters of a line of PEM.
const LINE: usize = 64;

/// The certificates of this machine as PEM: those of the system, or of `SSL_CERT_FILE` and
/// `SSL_CERT_DIR` where they are set. The clients of broker and store find theirs in the same way.
pub fn system_certificates() -> String {
    let certificates = rustls_native_certs::load_native_certs();
    for error in &certificates.errors {
        tracing::info!(%error, "cannot read all certificates of this machine");
    }
    certificates.certs.iter().map(|der| pem(der)).collect()
}

fn pem(der: &[u8]) -> String {
    let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
    let text = BASE64_STANDARD.encode(der);
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem + "-----END CERTIFICATE-----\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let certificates: [Vec<u8>; 3] = [vec![0; 48], (0..255).collect(), vec![7]];
        let text: String = certificates.iter().map(|der| pem(der)).collect();
        assert!(text.lines().all(|line| line.len() <= LINE), "{text}");
        let read: Vec<Vec<u8>> = ureq::tls::parse_pem(text.as_bytes())
            .map(|item| match item.unwrap() {
                ureq::tls::PemItem::Certificate(certificate) => certificate.der().to_vec(),
                _ => panic!("something else than a certificate"),
            })
            .collect();
        assert_eq!(read, certificates);
    }
}
