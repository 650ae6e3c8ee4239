//! Services that a run should have on ECS: a pure function of the network and of the stack that carries it.
//!
//! ECS gives the tasks of a service no identity, so there is one service a layer, one for all
//! synapses and one for the trainer, and each task becomes the actor that is missing
//! (`transport/amqp/claim.rs`). ECS replaces what dies; nothing of ours has to be there.

use std::collections::BTreeSet;

use cuttlefish_core::data::Feed;
use cuttlefish_core::topology::roster::COORDINATOR;
use cuttlefish_core::topology::{Actor, ActorKind, Graph, Roster};
use serde::{Deserialize, Serialize};

use super::stack::{Capacity, Stack};
use crate::config::{BROADCAST, CERTIFICATES, ContainerConfig, IN_STORE};
use crate::container::ACTOR;

/// The only container of a task.
pub const CONTAINER: &str = "actor";

/// Prefix of a task's log streams in CloudWatch.
pub(super) const LOG_PREFIX: &str = "cf";

/// CPU units of a processor.
pub(super) const UNITS_PER_CPU: f64 = 1024.0;
/// CPU units of a task that EC2 takes at least.
const FEWEST_UNITS: u32 = 128;
/// Task sizes of Fargate: CPU units, and MiB from, to, in steps ("Task CPU and memory", ECS guide).
const FARGATE: [(u32, u32, u32, u32); 9] = [
    (256, 512, 512, 512),
    (256, 1024, 1024, 1024),
    (256, 2048, 2048, 2048),
    (512, 1024, 4096, 1024),
    (1024, 2048, 8192, 1024),
    (2048, 4096, 16384, 1024),
    (4096, 8192, 30720, 1024),
    (8192, 16384, 61440, 4096),
    (16384, 32768, 122_880, 8192),
];

/// The user of the image, who is nobody.
const USER: &str = "65532:65532";

/// Definition that all tasks of a kind are started from. Holds what ECS keeps of it and nothing else, so that
/// what is there can be compared with what should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskDefinition {
    /// Its name.
    pub family: String,
    /// CPU units, 1,024 a processor.
    pub cpu: u32,
    /// MiB.
    pub memory: u32,
    /// The neuron image.
    pub image: String,
    /// The command's arguments.
    pub command: Vec<String>,
    /// Variables, by name; never a secret.
    pub environment: Vec<(String, String)>,
    /// Variables that ECS fills in, by name, and the ARNs of the secrets.
    pub secrets: Vec<(String, String)>,
    /// User and group.
    pub user: String,
    /// The role of the actors.
    pub task_role: String,
    /// The role of ECS while it starts them.
    pub execution_role: String,
    /// The group of their logs, and the region it is in.
    pub log_group: String,
    /// See [`Self::log_group`].
    pub region: String,
    /// Capacity that runs its tasks.
    pub capacity: Capacity,
}

/// Place of tasks in an account's network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskNetwork {
    /// Their subnets.
    pub subnets: BTreeSet<String>,
    /// Their security groups.
    pub security_groups: BTreeSet<String>,
    /// True if tasks have addresses of the internet.
    pub is_public: bool,
}

impl TaskNetwork {
    /// Network of a stack's tasks.
    pub fn of(stack: &Stack) -> Self {
        Self {
            subnets: stack.subnets.iter().cloned().collect(),
            security_groups: BTreeSet::from([stack.security_group.clone()]),
            is_public: false,
        }
    }
}

/// A number of tasks that ECS keeps alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name, and its task definition's.
    pub name: String,
    /// Tasks.
    pub count: u32,
    /// Definition that the tasks are started from.
    pub definition: TaskDefinition,
    /// Network of the tasks.
    pub network: TaskNetwork,
}

/// Site of a run on ECS: the stack, image and data that its tasks use.
#[derive(Clone, Debug)]
pub struct EcsSite<'a> {
    /// CloudFormation stack that the run uses.
    pub stack: &'a Stack,
    /// The neuron image.
    pub image: &'a str,
    /// The region.
    pub region: &'a str,
    /// `http://host:port` of an emulated DynamoDB, as tasks reach it.
    pub endpoint: Option<&'a str>,
    /// Bytes of the data set.
    pub data_bytes: u64,
}

/// Prefix of the names of everything of a run; a run's own name has no underscore.
pub fn prefix(run: &str) -> String {
    format!("cf_{run}_")
}

/// The service of the trainer.
pub fn trainer_service(run: &str) -> String {
    format!("{}{}", prefix(run), ActorKind::Trainer.word())
}

/// Every service of a run: the trainer, the synapses, the layers.
///
/// # Errors
/// Says which layer wants more than Fargate has.
pub fn services(graph: &Graph, site: &EcsSite<'_>) -> Result<Vec<Service>, String> {
    let actors: Vec<Actor> = Roster::new(graph).actors().collect();
    let groups = actors.chunk_by(|a, b| a.kind == b.kind && a.group == b.group);
    groups.map(|group| service(graph, site, group)).collect()
}

/// The service of a group of actors, whose tasks are told the group alone.
fn service(graph: &Graph, site: &EcsSite<'_>, group: &[Actor]) -> Result<Service, String> {
    let first = &group[0];
    let run = graph.name.as_str();
    let is_layer = first.neurons.is_some();
    let name = match is_layer {
        true => format!("{}{}_{}", prefix(run), first.kind.word(), first.group),
        false => format!("{}{}", prefix(run), first.group),
    };
    let (memory, whose) = if first.reads_data(Feed::Broadcast) {
        (trainer_memory(site.data_bytes), "the data set: ".to_owned())
    } else if is_layer {
        (first.resources.memory, format!("layer `{}`: ", first.group))
    } else {
        (first.resources.memory, String::new())
    };
    let size = size(site.stack.capacity, first.resources.cpu, memory)
        .map_err(|problem| format!("{whose}{problem}"))?;
    // All units of a layer compute with the same but their number.
    let different = if is_layer { &group[..1] } else { group };
    let fingerprint = different.iter().map(|actor| actor.fingerprint(graph));
    Ok(Service {
        count: group.len() as u32,
        definition: definition(site, run, &name, first, size, fingerprint.collect()),
        network: TaskNetwork::of(site.stack),
        name,
    })
}

fn definition(
    site: &EcsSite<'_>,
    run: &str,
    family: &str,
    actor: &Actor,
    (cpu, memory): (u32, u32),
    fingerprint: String,
) -> TaskDefinition {
    let stack = site.stack;
    let is_trainer = actor.kind == ActorKind::Trainer;
    let mut environment = vec![
        (ContainerConfig::RUN, run.to_owned()),
        (ContainerConfig::ACTOR, actor.group.clone()),
        (ContainerConfig::TABLE, stack.table.clone()),
        ("AWS_REGION", site.region.to_owned()),
        // Nothing reads it: what changes with it has to be started anew.
        ("CUTTLEFISH_KNOWS", fingerprint),
    ];
    if let Some(endpoint) = site.endpoint {
        environment.push(("AWS_ENDPOINT_URL_DYNAMODB", endpoint.to_owned()));
        // An emulator does not ask who we are, and need not have a role for its tasks.
        environment.push(("AWS_ACCESS_KEY_ID", "emulated".to_owned()));
        environment.push(("AWS_SECRET_ACCESS_KEY", "emulated".to_owned()));
    }
    if is_trainer {
        // Tasks share no disk: the trainer reads the data set from the store, and sends batches.
        environment.push((ContainerConfig::DATA, IN_STORE.to_owned()));
        environment.push((ContainerConfig::FEED, BROADCAST.to_owned()));
        environment.push((ContainerConfig::SHOW, IN_STORE.to_owned()));
    }
    let broker = if is_trainer {
        &stack.trainer_broker
    } else {
        &stack.actor_broker
    };
    let named = |(name, value): (&str, String)| (name.to_owned(), value);
    let mut environment: Vec<_> = environment.into_iter().map(named).collect();
    environment.sort();
    TaskDefinition {
        family: family.to_owned(),
        cpu,
        memory,
        image: site.image.to_owned(),
        command: vec![ACTOR.to_owned()],
        environment,
        secrets: vec![
            named((ContainerConfig::SECRET_BROKER, broker.clone())),
            named((CERTIFICATES, stack.certificates.clone())),
            named((ContainerConfig::SECRET_TOKEN, stack.token.clone())),
        ],
        user: USER.to_owned(),
        task_role: stack.task_role.clone(),
        execution_role: stack.execution_role.clone(),
        log_group: stack.log_group.clone(),
        region: site.region.to_owned(),
        capacity: stack.capacity,
    }
}

/// Bytes for a trainer that has the data set in memory: packed, while it is unpacked into a buffer that
/// may be moved as it grows.
fn trainer_memory(data_bytes: u64) -> u64 {
    COORDINATOR
        .memory
        .max(COORDINATOR.memory / 2 + 3 * data_bytes)
}

/// CPU units and MiB for `cpu` processors and `memory` bytes: exactly that on instances, the smallest size
/// that is enough on Fargate.
///
/// # Errors
/// When it is more than Fargate gives a task.
fn size(capacity: Capacity, cpu: f64, memory: u64) -> Result<(u32, u32), String> {
    let units = (cpu * UNITS_PER_CPU).ceil() as u32;
    let mib = u32::try_from(memory.div_ceil(1 << 20)).unwrap_or(u32::MAX);
    if capacity == Capacity::Ec2 {
        return Ok((units.max(FEWEST_UNITS), mib));
    }
    let fits = FARGATE
        .iter()
        .find(|(cpu, _, most, _)| units <= *cpu && mib <= *most);
    let Some(&(cpu, least, _, step)) = fits else {
        let (most_units, _, most, _) = FARGATE[FARGATE.len() - 1];
        return Err(format!(
            "{units} CPU units and {mib} MiB are more than Fargate gives a task ({most_units} and \
             {most} MiB)"
        ));
    };
    Ok((cpu, mib.next_multiple_of(step).max(least)))
}

#[cfg(test)]
pub(super) mod tests {
    use cuttlefish_core::topology::{DataShape, Grouping, TaskShape, parse};

    use super::super::stack::tests::outputs;
    use super::*;

    /// The services of a network with one wide layer.
    pub(in crate::deploy::ecs) fn services_of(hidden: usize) -> Vec<Service> {
        let text = format!(
            "name: wide\ndata: {{source: digits}}\nnetwork:\n  layers:\n    - {{type: dense, name: \
             hidden, units: {hidden}, activation: relu}}\n    - {{type: dense, name: digit, units: 10, \
             activation: softmax}}\n  loss: sparse_categorical_crossentropy\ntraining:\n  epochs: 1\n"
        );
        let document = parse(&text, &[]).unwrap();
        let shape = DataShape {
            features: 64,
            image: Some((8, 8)),
            value_bytes: 1,
            task: TaskShape::Classification { classes: 10 },
            train_rows: 100,
            validation_rows: 0,
            test_rows: 10,
        };
        let graph = document.graph(&shape, Grouping::FromFile).unwrap();
        let stack = Stack::new("here", &outputs()).unwrap();
        let site = EcsSite {
            stack: &stack,
            image: "registry/neuron:1",
            region: "eu-west-1",
            endpoint: None,
            data_bytes: shape.bytes(),
        };
        services(&graph, &site).unwrap()
    }

    #[test]
    fn a_layer_is_one_service_whose_tasks_are_told_the_layer_and_no_secret() {
        let services = services_of(30);
        let named: Vec<_> = services
            .iter()
            .map(|one| (one.name.as_str(), one.count))
            .collect();
        let expected = [
            ("cf_wide_trainer", 1),
            ("cf_wide_synapse", 1),
            ("cf_wide_unit_hidden", 30),
            ("cf_wide_unit_digit", 10),
        ];
        assert_eq!(named, expected);
        let hidden = &services[2].definition;
        let variable = |name: &str| {
            let mut variables = hidden.environment.iter().filter(|(one, _)| one == name);
            variables.next().map(|(_, value)| value.as_str())
        };
        assert_eq!(variable("CUTTLEFISH_ACTOR"), Some("hidden"));
        assert_eq!(
            variable("CUTTLEFISH_DATA"),
            None,
            "the trainer sends batches"
        );
        let secrets: Vec<_> = hidden
            .secrets
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        let expected = [
            "CUTTLEFISH_SECRET_BROKER",
            "CUTTLEFISH_SECRET_CERTIFICATES",
            "CUTTLEFISH_SECRET_TOKEN",
        ];
        assert_eq!(secrets, expected);
    }

    #[test]
    fn a_trainer_has_room_for_its_data_set() {
        let memory = |bytes| trainer_memory(bytes) >> 20;
        assert_eq!(memory(60_000 * 792), 512, "MNIST");
        assert_eq!(memory(400 << 20), 256 + 1200);
    }

    #[test]
    fn the_smallest_size_that_is_enough_is_taken() {
        let mib = |n: u64| n << 20;
        for (cpu, memory, expected) in [
            (0.1, mib(64), (256, 512)),
            (0.25, mib(513), (256, 1024)),
            (0.25, mib(1500), (256, 2048)),
            (0.25, mib(4096), (512, 4096)),
            (1.0, mib(512), (1024, 2048)),
            (4.0, mib(30720), (4096, 30720)),
            (8.0, mib(64), (8192, 16384)),
            (8.0, mib(16385), (8192, 20480)),
        ] {
            assert_eq!(size(Capacity::Fargate, cpu, memory), Ok(expected));
        }
        assert_eq!(size(Capacity::Ec2, 0.1, mib(64)), Ok((128, 64)));
        let error = size(Capacity::Fargate, 32.0, mib(64)).unwrap_err();
        assert!(error.contains("32768 CPU units"), "{error}");
    }
}
