//! Containers that do one thing and end.

use std::path::Path;

use cuttlefish_core::topology::graph::Graph;

use super::{
    COORDINATOR, Container, Role, SECRETS, Site, container_name, environment, networks, program,
    read_only,
};
use crate::config::ContainerConfig;

/// Where the record is in the container that writes it to the store.
const RECORD_FILE: &str = "/record/record.json";

/// The container that finds out whether those of a run can reach its broker and its store.
pub fn probe(graph: &Graph, site: &Site) -> Container {
    errand(graph, site, Role::Probe)
}

/// The container that writes the record in `file`, a file of the host, to the store.
pub fn recorder(graph: &Graph, site: &Site, file: &Path) -> Container {
    let mut container = errand(graph, site, Role::Record);
    container.mounts.push(read_only(file, RECORD_FILE));
    let variable = (ContainerConfig::RECORD.to_owned(), RECORD_FILE.to_owned());
    container.environment.push(variable);
    container
}

/// A container with the name and the command of its role.
fn errand(graph: &Graph, site: &Site, role: Role) -> Container {
    let mut mounts = vec![read_only(&site.secrets_dir.join("actor"), SECRETS)];
    mounts.extend(program(site));
    Container {
        name: container_name(&graph.name, role.word()),
        actor: role.word().to_owned(),
        role,
        image: site.image.clone(),
        command: vec![role.word().to_owned()],
        environment: environment(graph, site, role.word()),
        mounts,
        networks: networks(&graph.name, 1, site.per_bridge),
        ports: Vec::new(),
        cpu: 1.0,
        memory: Some(COORDINATOR.memory),
        open_files: None,
        user: Some(site.user.clone()),
        actor_fingerprint: String::new(),
    }
}
