//! Files of a run on ECS, for people who bring it up without this program: a CloudFormation template of its
//! requests, scripts that give these to the AWS CLI, and instructions. Pure; held to its form by snapshots.

use serde_json::{Map, Value, json};

use super::OWNER_TAG;
use super::desired::{CONTAINER, LOG_PREFIX, Service, prefix, trainer_service};
use super::stack::Stack;
use crate::deploy::bundle::FIRST_LINE;
use crate::run_dir::ECS_DOCUMENT;

/// File with instructions for the directory; it begins with [`FIRST_LINE`].
pub const README: &str = "README.md";
/// Script that brings the run up.
pub const APPLY: (&str, &str) = ("apply", include_str!("scripts/apply"));
/// Script that removes it.
pub const REMOVE: (&str, &str) = ("remove", include_str!("scripts/remove"));
/// File of what both scripts know.
pub const RUN: &str = "run.sh";
/// Directory of requests for `aws ecs register-task-definition`, a file a service.
pub const DEFINITIONS: &str = "task-definitions";
/// Directory of requests for `aws ecs create-service`, a file a service.
pub const SERVICES: &str = "services";
/// Request for `aws ecs run-task` that has the queues removed.
pub const UNWIRE: &str = "unwire.json";
/// Directory of requests for `aws dynamodb put-item`.
pub const STORE: &str = "store";
/// Task definitions and services for CloudFormation.
pub const TEMPLATE: &str = "template.json";

/// Resources that CloudFormation takes in a template ("AWS CloudFormation quotas").
const TEMPLATE_RESOURCES: usize = 500;

/// Names of everything in such a directory.
pub const NAMES: [&str; 10] = [
    README,
    APPLY.0,
    REMOVE.0,
    RUN,
    DEFINITIONS,
    SERVICES,
    UNWIRE,
    TEMPLATE,
    STORE,
    ECS_DOCUMENT,
];

/// Name and site of a run, which its services do not say.
#[derive(Clone, Copy, Debug)]
pub struct RunSite<'a> {
    /// Its name.
    pub name: &'a str,
    /// Owner, as its services are tagged.
    pub owner: &'a str,
    /// CloudFormation stack that the run uses.
    pub stack: &'a Stack,
    /// Region of the stack.
    pub region: &'a str,
    /// `http://host:port` of an emulated DynamoDB; None for the region's own.
    pub endpoint: Option<&'a str>,
}

/// Requests to ECS for a service.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// Its name.
    pub name: String,
    /// The request that registers its task definition.
    pub definition: Value,
    /// The request that makes it, with the newest revision of that.
    pub service: Value,
}

/// Template of CloudFormation for the task definitions and services.
pub fn template(run: &RunSite, manifests: &[Manifest]) -> Value {
    let mut resources = Map::new();
    for manifest in manifests {
        let id = logical_id(run.name, &manifest.name);
        let definition = format!("{id}Definition");
        let mut service = manifest.service.clone();
        service["taskDefinition"] = json!({"Ref": definition});
        resources.insert(
            definition,
            json!({
                "Type": "AWS::ECS::TaskDefinition",
                "Properties": capitalized(&manifest.definition),
            }),
        );
        resources.insert(
            format!("{id}Service"),
            json!({"Type": "AWS::ECS::Service", "Properties": capitalized(&service)}),
        );
    }
    json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": format!("Run {} of Cuttlefish, made by `cuttlefish render`", run.name),
        "Resources": resources,
    })
}

/// CloudFormation's names are those of the API with a capital at the beginning, but for the options of a
/// log driver, which are the driver's.
fn capitalized(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(capitalized).collect(),
        Value::Object(entries) => {
            let entries = entries.iter().map(|(name, value)| {
                let value = match name.as_str() {
                    "options" => value.clone(),
                    _ => capitalized(value),
                };
                (with_capital(name), value)
            });
            Value::Object(entries.collect())
        }
        other => other.clone(),
    }
}

fn with_capital(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// A name of letters and digits for a service. No two services have the same: their own names have no
/// capitals.
fn logical_id(run: &str, service: &str) -> String {
    let name = service.strip_prefix(&prefix(run)).unwrap_or(service);
    let name = match name.strip_prefix("unit_") {
        Some(layer) => format!("Unit{}", with_capital(layer)),
        None => with_capital(name),
    };
    name.replace('-', "Dash").replace('_', "Underscore")
}

/// Settings of the run for `apply` and `remove`, with the functions that both use: the file [`RUN`].
pub fn settings(run: &RunSite, manifests: &[Manifest]) -> String {
    let services: Vec<String> = manifests.iter().map(|one| quoted(&one.name)).collect();
    let trainer = trainer_service(run.name);
    let values: [(&str, &str); 9] = [
        ("run", run.name),
        ("owner_tag", OWNER_TAG),
        ("owner", run.owner),
        ("cluster", &run.stack.cluster),
        ("table", &run.stack.table),
        ("dynamodb_endpoint", run.endpoint.unwrap_or_default()),
        ("log_group", &run.stack.log_group),
        ("trainer", &trainer),
        ("export AWS_REGION", run.region),
    ];
    let values = values.map(|(name, value)| format!("{name}={}\n", quoted(value)));
    format!(
        "# shellcheck shell=bash disable=SC2034\n{FIRST_LINE}\n# What apply and remove know of the run.\n\n{}services=({})\n\n{}",
        values.concat(),
        services.join(" "),
        include_str!("scripts/run.sh")
    )
}

/// A word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Instructions for the directory: the file [`README`].
pub fn readme(run: &RunSite, services: &[Service]) -> String {
    let RunSite {
        name,
        stack,
        region,
        ..
    } = run;
    let Stack {
        name: stack,
        cluster,
        table,
        log_group,
        ..
    } = stack;
    let tasks: u32 = services.iter().map(|service| service.count).sum();
    let (n_services, trainer) = (services.len(), trainer_service(name));
    let (apply, remove) = (APPLY.0, REMOVE.0);
    let resources = 2 * n_services;
    let too_many = match resources > TEMPLATE_RESOURCES {
        true => format!(
            " CloudFormation takes {TEMPLATE_RESOURCES} resources in a template, and this one has {resources}: use \
             `./{apply}`, or fewer layers."
        ),
        false => String::new(),
    };
    format!(
        "{FIRST_LINE}

Run `{name}` for Amazon ECS: {n_services} services with {tasks} tasks in cluster `{cluster}` in {region}, which stack `{stack}`
carries. It takes bash and the AWS CLI of version 2 (version 1 encodes binary values twice), as somebody who has the
stack's OperatorPolicy. No password is in here: tasks have theirs from the stack.

    ./{apply}

stores what the run is and its data set in table `{table}` (`{STORE}/`, for `aws dynamodb put-item`), and makes the services
(`{DEFINITIONS}/`, for `aws ecs register-task-definition`, and `{SERVICES}/`, for `aws ecs create-service`). What is there
stays as it is, so it may be repeated. The trainer's log, for those who may read its group, ends with the digest of the weights:

    export AWS_REGION={region}
    task=$(aws ecs list-tasks --cluster {cluster} --service-name {trainer} --query 'taskArns[0]' --output text)
    aws logs tail {log_group} --follow --log-stream-name-prefix \"{LOG_PREFIX}/{CONTAINER}/${{task##*/}}\"

ECS goes on to keep the tasks when training has ended.

    ./{remove}

removes services, queues and task definitions. The weights stay in the table, and `./{apply}` goes on from there;
`./{remove} --weights` removes them too.

`{TEMPLATE}` has the same task definitions and services for CloudFormation, instead of `aws ecs`:

    ./{apply} --store-only
    aws cloudformation deploy --stack-name cuttlefish-{name} --template-file {TEMPLATE}

That takes rights for CloudFormation, which OperatorPolicy does not give. A template of more than 51,200 bytes needs `--s3-bucket`.{too_many} To remove the run, call `./{remove}` first and then
`aws cloudformation delete-stack --stack-name cuttlefish-{name}`.

`ecs.json` is for Cuttlefish: as `{name}/ecs.json` in its directory of runs it makes this a run that was brought up with
`up --target ecs`, for `attach`, `ps`, `digest`, `export` and `down`. `./{remove}` knows the services that are written here: what an `up` of
another network has made, `down` removes.
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_has_a_name_of_letters_and_digits_for_itself() {
        for (service, expected) in [
            ("cf_a-b_trainer", "Trainer"),
            ("cf_a-b_synapse", "Synapse"),
            ("cf_a-b_unit_hidden", "UnitHidden"),
            ("cf_a-b_unit_trainer", "UnitTrainer"),
            ("cf_a-b_unit_conv-1", "UnitConvDash1"),
            ("cf_a-b_unit_conv_1", "UnitConvUnderscore1"),
            ("cf_a-b_unit_1", "Unit1"),
        ] {
            assert_eq!(logical_id("a-b", service), expected);
        }
    }

    #[test]
    fn names_get_a_capital_but_for_those_of_a_log_driver() {
        let given = json!({
            "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/log"}},
            "environment": [{"name": "a", "value": "b"}],
        });
        let expected = json!({
            "LogConfiguration": {"LogDriver": "awslogs", "Options": {"awslogs-group": "/log"}},
            "Environment": [{"Name": "a", "Value": "b"}],
        });
        assert_eq!(capitalized(&given), expected);
    }

    #[test]
    fn a_shell_reads_a_word_as_it_is() {
        assert_eq!(quoted("it's $5"), r"'it'\''s $5'");
    }
}
