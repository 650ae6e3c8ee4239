//! Files for the services that a run brings along, and for the containers that use them. Pure.

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::deploy::docker::desired::BROKER_PORT;
use crate::transport::amqp::Broker;
use crate::transport::amqp::connection::AddressError;
use crate::transport::amqp::management::Permissions;

/// Settings that `infra/rabbitmq` explains.
const SETTINGS: &str = include_str!("../../../infra/rabbitmq/cuttlefish.conf");

/// The names of a run at its broker.
#[derive(Clone, Debug)]
pub struct BrokerNames {
    /// The virtual host.
    pub vhost: String,
    /// User of the trainer, who may wire the run.
    pub trainer: String,
    /// User of everybody else, who may send and listen.
    pub actor: String,
    /// User of the command at the run's own broker, who may do anything.
    pub admin: String,
}

impl BrokerNames {
    /// The names of a run.
    pub fn new(run: &str) -> Self {
        Self {
            vhost: format!("cf.{run}"),
            trainer: format!("cf.{run}.trainer"),
            actor: format!("cf.{run}.actor"),
            admin: format!("cf.{run}.admin"),
        }
    }

    /// Permissions of the trainer: everything with the run's names.
    pub fn trainer_may(&self) -> Permissions {
        let own = self.own_names();
        Permissions {
            configure: own.clone(),
            write: own.clone(),
            read: own,
        }
    }

    /// Permissions of an actor: to publish to the run's exchanges and listen to its queues, no more.
    pub fn actor_may(&self) -> Permissions {
        Permissions {
            configure: "^$".to_owned(),
            write: self.own_names(),
            read: self.own_names(),
        }
    }

    fn own_names(&self) -> String {
        // Run names hold letters, digits and dashes only, so that nothing else needs a backslash.
        format!("^{}(\\.|$)", self.vhost.replace('.', "\\."))
    }
}

/// Passwords of the users.
#[derive(Clone, Debug)]
pub struct Passwords {
    /// Password of the command's user.
    pub admin: String,
    /// Password of the trainer's user.
    pub trainer: String,
    /// Password of everybody else's user.
    pub actor: String,
}

/// A file below a run's `secrets`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretFile {
    /// Its directory, named after who reads it, and its name.
    pub name: String,
    /// Content of the file.
    pub content: String,
    /// True for a file of programs whose user we do not choose; it holds no secret in clear.
    pub is_public: bool,
}

impl SecretFile {
    /// A file that only its readers can read.
    pub fn new(name: impl Into<String>, content: String) -> Self {
        Self {
            name: name.into(),
            content,
            is_public: false,
        }
    }
}

/// Secrets of units, synapses and the trainer beside the broker's address: the token of their inspection, and
/// their credentials at the store, as lines of an AWS profile.
pub fn reader_files(token: &str, credentials: &str) -> Vec<SecretFile> {
    let profile = format!("[default]\n{credentials}");
    let of_reader = |reader| {
        [
            SecretFile::new(format!("{reader}/token"), token.to_owned()),
            SecretFile::new(format!("{reader}/aws-credentials"), profile.clone()),
        ]
    };
    READERS.into_iter().flat_map(of_reader).collect()
}

/// Readers whose secrets have the addresses of broker and store.
pub const READERS: [&str; 2] = ["actor", "trainer"];

/// Credentials of containers at a store of the run's own.
pub fn store_credentials(access_key: &str) -> String {
    format!("aws_access_key_id = {access_key}\naws_secret_access_key = unused\n")
}

/// Files that the broker of a run is started with, and its addresses for its users, who find it at `host`.
///
/// # Errors
/// When `host` is no host's name.
pub fn broker_files(
    names: &BrokerNames,
    passwords: &Passwords,
    host: &str,
) -> Result<Vec<SecretFile>, AddressError> {
    let broker = Broker::parse(&format!("amqp://{host}:{BROKER_PORT}"), None)?;
    let url = |user: &str, password: &str| {
        let broker = broker.for_user(user, password, &names.vhost);
        broker.secret_url()
    };
    let public = |name: &str, content| SecretFile {
        is_public: true,
        ..SecretFile::new(name, content)
    };
    Ok(vec![
        SecretFile::new("trainer/broker", url(&names.trainer, &passwords.trainer)),
        SecretFile::new("actor/broker", url(&names.actor, &passwords.actor)),
        SecretFile::new("admin", url(&names.admin, &passwords.admin)),
        public("broker/rabbitmq.conf", settings()),
        public("broker/definitions.json", definitions(names, passwords)),
    ])
}

/// The broker's settings.
pub fn settings() -> String {
    format!("{SETTINGS}\nload_definitions = /etc/rabbitmq/cuttlefish-definitions.json\n")
}

/// Users, virtual host and permissions: imported whenever the broker starts, so that one that has
/// lost everything comes back as it was. Passwords are in it as salted hashes only.
pub fn definitions(names: &BrokerNames, passwords: &Passwords) -> String {
    let user = |name: &str, password: &str, tags: &[&str]| {
        json!({
            "name": name,
            "password_hash": password_hash(password),
            "hashing_algorithm": "rabbit_password_hashing_sha256",
            "tags": tags,
        })
    };
    let permit = |user: &str, may: &Permissions| {
        json!({
            "user": user,
            "vhost": names.vhost,
            "configure": may.configure,
            "write": may.write,
            "read": may.read,
        })
    };
    let all = Permissions {
        configure: ".*".to_owned(),
        write: ".*".to_owned(),
        read: ".*".to_owned(),
    };
    let definitions = json!({
        "users": [
            user(&names.admin, &passwords.admin, &["administrator"]),
            user(&names.trainer, &passwords.trainer, &[]),
            user(&names.actor, &passwords.actor, &[]),
        ],
        "vhosts": [{"name": names.vhost}],
        "permissions": [
            permit(&names.admin, &all),
            permit(&names.trainer, &names.trainer_may()),
            permit(&names.actor, &names.actor_may()),
        ],
    });
    format!("{definitions:#}\n")
}

/// RabbitMQ's form of a password: base64 of salt and SHA-256 of salt and password. The salt is a
/// function of the password, so that the same password gives the same file; passwords are random
/// numbers of 128 bits, which no table of hashes holds.
fn password_hash(password: &str) -> String {
    let salt = &Sha256::digest(format!("salt {password}"))[..4];
    let mut hashed = salt.to_vec();
    let digest = Sha256::new().chain_update(salt).chain_update(password);
    hashed.extend(digest.finalize());
    BASE64_STANDARD.encode(hashed)
}
