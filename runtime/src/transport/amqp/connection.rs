//! Addresses of brokers, and connections to them: with a name, a heartbeat and a deadline.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_rs::Runtime;
use async_rs::traits::RuntimeKit;
use lapin::tcp::OwnedTLSConfig;
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{ConnectionBuilder, ConnectionProperties, ErrorKind};
use tokio::net::TcpStream;

use super::Error;

/// Two missed ones and a connection is given up, on both sides. Below 5 s brokers and networks give
/// false alarms; a frozen actor is noticed after 20 s.
const HEARTBEAT_SECONDS: u16 = 10;

/// Connecting, with TLS and login.
pub const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// Bytes of a frame. A connection's buffers are 64 times as large: the broker's own 128 KiB would
/// cost 8 MiB each. The least that brokers from 4.1 on accept.
pub const SMALL_FRAMES: u32 = 8192;

/// Frame size for connections that carry messages of many kilobytes all the time, in bytes.
pub const LARGE_FRAMES: u32 = 32768;

/// A broker and who we are there. Its text form hides the password.
#[derive(Clone)]
pub struct Broker {
    uri: AMQPUri,
    /// Certificates of the authority that signed the broker's, as PEM, if it is none of the
    /// system's.
    ca: Option<String>,
}

/// Reason why a broker's address cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// Not a URL of a broker.
    #[error(
        "the broker's address is not valid: {problem} (expected amqp://user:password@host:port/vhost)"
    )]
    Url {
        /// The problem, without the address: it may hold a password.
        problem: String,
    },
    /// The certificate authority's file.
    #[error("read the certificate authority `{}`: {source}", path.display())]
    Ca {
        /// The file.
        path: PathBuf,
        /// Error of reading the file.
        source: std::io::Error,
    },
    /// A file of the certificate authority that is none.
    #[error(
        "read the certificate authority `{}`: there is no certificate in it (expected PEM)",
        path.display()
    )]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
}

impl Broker {
    /// Reads an address like `amqp://user:password@host:5672/vhost`, `amqps` for TLS. `ca` is a PEM
    /// file with certificates to trust beside the system's.
    pub fn parse(url: &str, ca: Option<&Path>) -> Result<Self, AddressError> {
        let uri: AMQPUri = url
            .trim()
            .parse()
            .map_err(|problem| AddressError::Url { problem })?;
        let ca = ca.map(read_certificates).transpose()?;
        Ok(Self { uri, ca })
    }

    /// This broker for another user and virtual host.
    pub fn for_user(&self, user: &str, password: &str, vhost: &str) -> Self {
        let mut other = self.clone();
        user.clone_into(&mut other.uri.authority.userinfo.username);
        password.clone_into(&mut other.uri.authority.userinfo.password);
        vhost.clone_into(&mut other.uri.vhost);
        other
    }

    /// This broker at another host and port, as others reach it.
    pub fn at(&self, host: &str, port: u16) -> Self {
        let mut other = self.clone();
        host.clone_into(&mut other.uri.authority.host);
        other.uri.authority.port = port;
        other
    }

    /// True when both lead to one virtual host of one broker, whoever we are there.
    pub fn is_at(&self, other: &Self) -> bool {
        let (here, there) = (&self.uri, &other.uri);
        (&here.scheme, &here.vhost) == (&there.scheme, &there.vhost)
            && (self.host(), self.port()) == (other.host(), other.port())
    }

    /// Host name or address.
    pub fn host(&self) -> &str {
        &self.uri.authority.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.uri.authority.port
    }

    /// User and password.
    pub fn credentials(&self) -> (&str, &str) {
        let userinfo = &self.uri.authority.userinfo;
        (&userinfo.username, &userinfo.password)
    }

    /// The virtual host.
    pub fn vhost(&self) -> &str {
        &self.uri.vhost
    }

    /// True when messages to it are encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.uri.scheme == AMQPScheme::AMQPS
    }

    /// The address with its password, for the file that containers read it from.
    pub fn secret_url(&self) -> String {
        self.uri.to_string()
    }

    /// The certificate authority's PEM.
    pub fn ca(&self) -> Option<&str> {
        self.ca.as_deref()
    }

    /// Connects. `name` is what people see in the broker's list of connections.
    ///
    /// Nothing is recovered behind our back: when a connection is lost, whoever uses it boots again.
    ///
    /// # Errors
    /// Says what the broker said, without the password.
    pub async fn connect(&self, name: &str, frame_max: u32) -> Result<Connection, Error> {
        let runtime = lapin::runtime::default_runtime()?;
        let client = self.connect_with(runtime, name, frame_max).await?;
        Ok(Connection { client })
    }

    /// The client's connection, on another runtime.
    pub(super) async fn connect_with<R: RuntimeKit + Clone + Send + Sync + 'static>(
        &self,
        runtime: Runtime<R>,
        name: &str,
        frame_max: u32,
    ) -> Result<lapin::Connection, Error> {
        let mut uri = self.uri.clone();
        uri.query.heartbeat = Some(HEARTBEAT_SECONDS);
        uri.query.frame_max = Some(frame_max);
        uri.query.connection_timeout = Some(CONNECT_WITHIN.as_millis() as u64);
        let tls = OwnedTLSConfig {
            identity: None,
            cert_chain: self.ca.clone(),
        };
        let builder = ConnectionBuilder::new_with_runtime(runtime)
            .with_uri(uri)
            .with_properties(ConnectionProperties::default().with_connection_name(name.into()))
            .with_tls_config(tls);
        let failed = |source| Error::Connect {
            broker: self.to_string(),
            hint: hint(&source),
            source,
        };
        // A client whose first connection is refused leaves a task behind, and all that it knows, for
        // every try: so it is not asked before there is somebody to talk to.
        let place = (self.host(), self.port());
        let connect = async {
            TcpStream::connect(place).await?;
            builder.connect().await
        };
        match tokio::time::timeout(CONNECT_WITHIN, connect).await {
            Ok(connected) => connected.map_err(failed),
            Err(_) => Err(Error::Timeout {
                what: format!("connecting to {self}"),
                seconds: CONNECT_WITHIN.as_secs(),
            }),
        }
    }
}

/// Connection to a broker, for those who wire a run or only look. Dropped, it is lost; what has been sent
/// may be lost with it.
pub struct Connection {
    pub(super) client: lapin::Connection,
}

impl Connection {
    /// Closes the connection, once the broker has done all that it was asked.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn close(self) -> Result<(), Error> {
        Ok(self.client.close(200, "done".into()).await?)
    }

    /// The client's own connection, for what no part of a run does.
    pub fn into_client(self) -> lapin::Connection {
        self.client
    }
}

/// The certificates in a file.
fn read_certificates(path: &Path) -> Result<String, AddressError> {
    let path = path.to_owned();
    match std::fs::read_to_string(&path) {
        Ok(pem) if pem.contains("-----BEGIN CERTIFICATE-----") => Ok(pem),
        Ok(_) => Err(AddressError::NoCertificate { path }),
        Err(source) => Err(AddressError::Ca { path, source }),
    }
}

/// Hint for a person about a connection that was refused.
fn hint(error: &lapin::Error) -> &'static str {
    match error.kind() {
        ErrorKind::ProtocolError(error) if error.get_id() == 403 => {
            "check user and password, and that the user may use the virtual host"
        }
        ErrorKind::ProtocolError(error) if error.get_id() == 530 => {
            "the virtual host does not exist, or the user may not use it"
        }
        ErrorKind::IOError(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            "is the broker running, and is this its AMQP port?"
        }
        // The TLS library's errors have no type that we share with it.
        ErrorKind::IOError(error) if error.to_string().contains("UnknownIssuer") => {
            "name the authority that signed the broker's certificate with `--broker-ca`, or is this \
             another broker than you think?"
        }
        ErrorKind::IOError(error) if error.to_string().contains("not valid for name") => {
            "the broker's certificate does not cover this name or address: use one that it covers"
        }
        ErrorKind::IOError(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            "check the broker's certificate, and that this is its port for TLS"
        }
        _ => "check the address, `amqps` for a port with TLS, and whether the broker is running",
    }
}

impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_encrypted() { "amqps" } else { "amqp" };
        let authority = &self.uri.authority;
        write!(
            f,
            "{scheme}://{}:***@{}:{}/{}",
            authority.userinfo.username, authority.host, authority.port, self.uri.vhost
        )
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_place_is_the_same_whoever_we_are_there() {
        let parse = |url: &str| Broker::parse(url, None).unwrap();
        let broker = parse("amqp://u:p@h:1/v");
        assert!(broker.is_at(&parse("amqp://other:word@h:1/v")));
        for other in [
            "amqps://u:p@h:1/v",
            "amqp://u:p@i:1/v",
            "amqp://u:p@h:2/v",
            "amqp://u:p@h:1/w",
        ] {
            assert!(!broker.is_at(&parse(other)), "{other}");
        }
    }
}
