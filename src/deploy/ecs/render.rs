//! Task definitions and networks as the ECS API takes them, and back. Pure.

use std::collections::BTreeSet;

use aws_sdk_ecs::error::BuildError;
use aws_sdk_ecs::types::{
    self, AssignPublicIp, AwsVpcConfiguration, Compatibility, ContainerDefinition,
    KernelCapabilities, KeyValuePair, LaunchType, LinuxParameters, LogConfiguration, LogDriver,
    NetworkConfiguration, NetworkMode, PortMapping, Secret, TransportProtocol,
};

use super::desired::{CONTAINER, LOG_PREFIX, TaskDefinition, TaskNetwork};
use super::stack::Capacity;
use crate::config::ContainerConfig;

const LOG_GROUP: &str = "awslogs-group";
const LOG_REGION: &str = "awslogs-region";

/// Compatibility of a task definition.
pub fn compatibility(capacity: Capacity) -> Compatibility {
    match capacity {
        Capacity::Fargate => Compatibility::Fargate,
        Capacity::Ec2 => Compatibility::Ec2,
    }
}

/// Launch type of a task.
pub fn launch_type(capacity: Capacity) -> LaunchType {
    match capacity {
        Capacity::Fargate => LaunchType::Fargate,
        Capacity::Ec2 => LaunchType::Ec2,
    }
}

/// Capacity of a launch type; None for one that we do not write.
pub fn read_launch_type(observed: &LaunchType) -> Option<Capacity> {
    [Capacity::Fargate, Capacity::Ec2]
        .into_iter()
        .find(|capacity| launch_type(*capacity) == *observed)
}

/// Network of tasks as the API takes it.
pub fn network(network: &TaskNetwork) -> Result<NetworkConfiguration, BuildError> {
    let list = |names: &BTreeSet<String>| Some(names.iter().cloned().collect());
    let vpc = AwsVpcConfiguration::builder()
        .set_subnets(list(&network.subnets))
        .set_security_groups(list(&network.security_groups))
        .assign_public_ip(if network.is_public {
            AssignPublicIp::Enabled
        } else {
            AssignPublicIp::Disabled
        })
        .build()?;
    Ok(NetworkConfiguration::builder()
        .awsvpc_configuration(vpc)
        .build())
}

/// Network of tasks as the API describes it; None where it describes none.
pub fn read_network(configuration: &NetworkConfiguration) -> Option<TaskNetwork> {
    let vpc = configuration.awsvpc_configuration()?;
    Some(TaskNetwork {
        subnets: vpc.subnets().iter().cloned().collect(),
        security_groups: vpc.security_groups().iter().cloned().collect(),
        is_public: vpc.assign_public_ip() == Some(&AssignPublicIp::Enabled),
    })
}

/// The container of a task.
pub fn container(definition: &TaskDefinition) -> Result<ContainerDefinition, BuildError> {
    let environment = definition.environment.iter().map(|(name, value)| {
        let pair = KeyValuePair::builder();
        pair.name(name).value(value).build()
    });
    let secrets = definition
        .secrets
        .iter()
        .map(|(name, arn)| Secret::builder().name(name).value_from(arn).build())
        .collect::<Result<Vec<_>, _>>()?;
    let log = LogConfiguration::builder()
        .log_driver(LogDriver::Awslogs)
        .options(LOG_GROUP, &definition.log_group)
        .options(LOG_REGION, &definition.region)
        .options("awslogs-stream-prefix", LOG_PREFIX)
        .build()?;
    let inspection = PortMapping::builder()
        .container_port(ContainerConfig::DEFAULT_PORT.into())
        .protocol(TransportProtocol::Tcp)
        .build();
    let linux = LinuxParameters::builder()
        .capabilities(KernelCapabilities::builder().drop("ALL").build())
        .build();
    Ok(ContainerDefinition::builder()
        .name(CONTAINER)
        .image(&definition.image)
        .set_command(Some(definition.command.clone()))
        .essential(true)
        .set_environment(Some(environment.collect()))
        .set_secrets(Some(secrets))
        .readonly_root_filesystem(true)
        .user(&definition.user)
        .linux_parameters(linux)
        .log_configuration(log)
        .port_mappings(inspection)
        .build())
}

/// Task definition that ECS has; None where it is not of the form that we write.
pub fn read(definition: &types::TaskDefinition) -> Option<TaskDefinition> {
    let [container] = definition.container_definitions() else {
        return None;
    };
    let log = container.log_configuration()?.options()?;
    let mut environment: Vec<(String, String)> = container
        .environment()
        .iter()
        .map(|pair| {
            let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
            (text(pair.name()), text(pair.value()))
        })
        .collect();
    environment.sort();
    let secrets = container.secrets().iter();
    let mut secrets: Vec<(String, String)> = secrets
        .map(|secret| (secret.name().to_owned(), secret.value_from().to_owned()))
        .collect();
    secrets.sort();
    let is_hardened = container.readonly_root_filesystem() == Some(true)
        && container.privileged() != Some(true)
        && definition.network_mode() == Some(&NetworkMode::Awsvpc);
    if !is_hardened {
        return None;
    }
    let capacity = match definition.requires_compatibilities() {
        [Compatibility::Fargate] => Capacity::Fargate,
        [Compatibility::Ec2] => Capacity::Ec2,
        _ => return None,
    };
    Some(TaskDefinition {
        family: definition.family()?.to_owned(),
        cpu: definition.cpu()?.parse().ok()?,
        memory: definition.memory()?.parse().ok()?,
        image: container.image()?.to_owned(),
        command: container.command().to_vec(),
        environment,
        secrets,
        user: container.user()?.to_owned(),
        task_role: definition.task_role_arn()?.to_owned(),
        execution_role: definition.execution_role_arn()?.to_owned(),
        log_group: log.get(LOG_GROUP)?.clone(),
        region: log.get(LOG_REGION)?.clone(),
        capacity,
    })
}
