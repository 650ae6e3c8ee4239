//! Containers as Docker Compose reads them.

use std::path::Path;

use cuttlefish::deploy::bundle::FIRST_LINE;
use cuttlefish::deploy::compose;
use cuttlefish::deploy::docker::desired::{Container, Site, recorder};
use cuttlefish::deploy::docker::render;
use cuttlefish_core::topology::{Problems, yaml};
use serde_json::{Value, json};

use super::{document, graph, in_a_directory, shapes};
use crate::snapshot::assert_text;

fn containers(site: &Site) -> Vec<Container> {
    let record = Path::new("./record/record.json");
    let mut containers = vec![recorder(&graph(&document(&[])), site, record)];
    containers.extend(shapes(&[], site));
    containers
}

fn parse(text: &str) -> Value {
    let mut problems = Problems::default();
    let node = yaml::parse(text, &mut problems);
    node.unwrap_or_else(|| panic!("{problems}")).to_json()
}

#[test]
fn a_run_is_a_file_that_compose_brings_up() {
    let containers = containers(&in_a_directory());
    let file = compose::file("shapes", &containers, Some("./image")).unwrap();
    assert!(file.starts_with(FIRST_LINE));
    assert_text("compose/docker-compose.yml", &file);
    assert_text("compose/env", &compose::settings(containers.len()));
}

/// Both ways describe a container to Docker alike, in the API's words.
#[test]
fn a_service_is_hardened_as_the_container_that_up_makes() {
    let containers = containers(&in_a_directory());
    let file = compose::file("shapes", &containers, None).unwrap();
    let services = &parse(&file)["services"];
    assert_eq!(services.as_object().unwrap().len(), containers.len());
    for container in &containers {
        let service = &services[&container.actor];
        let request = json!(render::container(container, "shapes", "0wner"));
        let host = &request["HostConfig"];
        let name = &container.name;
        assert_eq!(service["container_name"], *name);
        assert_eq!(service["hostname"], request["Hostname"], "{name}");
        assert_eq!(service["image"], request["Image"], "{name}");
        assert_eq!(service["command"], request["Cmd"], "{name}");
        assert_eq!(service["user"], request["User"], "{name}");
        assert_eq!(service["read_only"], host["ReadonlyRootfs"], "{name}");
        assert_eq!(service["cap_drop"], host["CapDrop"], "{name}");
        assert_eq!(service["security_opt"], host["SecurityOpt"], "{name}");
        assert_eq!(service["pids_limit"], host["PidsLimit"], "{name}");
        assert_eq!(service["cpu_shares"], host["CpuShares"], "{name}");
        assert_eq!(service["restart"], host["RestartPolicy"]["Name"], "{name}");
        let logs = &host["LogConfig"];
        assert_eq!(service["logging"]["driver"], logs["Type"], "{name}");
        assert_eq!(service["logging"]["options"], logs["Config"], "{name}");
        let files = &host["Ulimits"][0]["Hard"];
        assert_eq!(service["ulimits"]["nofile"], *files, "{name}");
        let memory = container.memory.map(|bytes| format!("{}m", bytes >> 20));
        assert_eq!(service["mem_limit"], json!(memory), "{name}");
        assert_eq!(service["memswap_limit"], json!(memory), "{name}");
        for port in service["ports"].as_array().into_iter().flatten() {
            assert!(port.as_str().unwrap().starts_with("127.0.0.1::"), "{name}");
        }
        for volume in service["volumes"].as_array().unwrap() {
            assert!(
                volume["source"].as_str().unwrap().starts_with("./"),
                "{name}"
            );
        }
    }
}

#[test]
fn a_name_with_a_dollar_sign_is_no_variable() {
    let site = Site {
        image: "images/$tag".to_owned(),
        ..in_a_directory()
    };
    let file = compose::file("shapes", &containers(&site), None).unwrap();
    assert_eq!(parse(&file)["services"]["trainer"]["image"], "images/$$tag");
}
