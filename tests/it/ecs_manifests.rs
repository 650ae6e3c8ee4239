//! A run as the AWS CLI and CloudFormation read it.

use std::collections::BTreeMap;

use cuttlefish::deploy::bundle::FIRST_LINE;
use cuttlefish::deploy::ecs::desired::{EcsSite, Service, services};
use cuttlefish::deploy::ecs::manifests::{RunSite, readme, settings, template};
use cuttlefish::deploy::ecs::requests;
use cuttlefish::deploy::ecs::stack::Stack;
use cuttlefish_core::topology::{DataShape, Grouping, TaskShape, parse};
use serde_json::json;

use crate::snapshot::{assert_snapshot, assert_text};

/// Two units of two neurons, then two of one.
const SHAPES: &str = "
name: shapes
data: {source: digits}
network:
  layers:
    - {type: dense, name: hidden-1, units: 4, activation: relu, neurons_per_unit: 2}
    - {type: dense, name: shape, units: 2, activation: softmax}
  loss: sparse_categorical_crossentropy
";

fn stack() -> Stack {
    let arn = |kind: &str| format!("arn:aws:{kind}");
    let outputs: BTreeMap<String, String> = [
        ("Cluster", "neurons".to_owned()),
        ("Capacity", "FARGATE".to_owned()),
        (
            "Subnets",
            "subnet-0123456789abcdef0,subnet-0123456789abcdef1".to_owned(),
        ),
        ("SecurityGroup", "sg-0123456789abcdef0".to_owned()),
        ("TaskRole", arn("iam::123456789012:role/task")),
        ("ExecutionRole", arn("iam::123456789012:role/execution")),
        ("LogGroup", "/cuttlefish".to_owned()),
        ("Table", "cuttlefish".to_owned()),
        (
            "TrainerBrokerSecret",
            arn("secretsmanager:eu-west-1:123456789012:secret:trainer"),
        ),
        (
            "ActorBrokerSecret",
            arn("secretsmanager:eu-west-1:123456789012:secret:actor"),
        ),
        (
            "CertificatesSecret",
            arn("secretsmanager:eu-west-1:123456789012:secret:certificates"),
        ),
        (
            "TokenSecret",
            arn("secretsmanager:eu-west-1:123456789012:secret:token"),
        ),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    Stack::new("here", &outputs).unwrap()
}

fn run(stack: &Stack) -> RunSite<'_> {
    RunSite {
        name: "shapes",
        owner: "0wner",
        stack,
        region: "eu-west-1",
        endpoint: None,
    }
}

fn shapes(stack: &Stack) -> Vec<Service> {
    let document = parse(SHAPES, &[]).unwrap();
    let shape = DataShape {
        features: 64,
        image: None,
        value_bytes: 1,
        task: TaskShape::Classification { classes: 2 },
        train_rows: 100,
        validation_rows: 10,
        test_rows: 10,
    };
    let graph = document.graph(&shape, Grouping::FromFile).unwrap();
    let site = EcsSite {
        stack,
        image: "registry/neuron:1",
        region: "eu-west-1",
        endpoint: None,
        data_bytes: shape.bytes(),
    };
    services(&graph, &site).unwrap()
}

#[tokio::test]
async fn a_run_is_files_for_the_aws_cli_and_a_template_for_cloudformation() {
    let stack = stack();
    let run = run(&stack);
    let services = shapes(&stack);
    let (manifests, unwire) = requests(&run, &services, "unwire").await.unwrap();
    let names: Vec<&str> = manifests.iter().map(|one| one.name.as_str()).collect();
    let expected = [
        "cf_shapes_trainer",
        "cf_shapes_synapse",
        "cf_shapes_unit_hidden-1",
        "cf_shapes_unit_shape",
    ];
    assert_eq!(names, expected);
    assert_snapshot("ecs/task-definition.json", manifests[2].definition.clone());
    assert_snapshot("ecs/service.json", manifests[2].service.clone());
    assert_snapshot("ecs/unwire.json", unwire);
    assert_snapshot("ecs/template.json", template(&run, &manifests));
    assert_text("ecs/run.sh", &settings(&run, &manifests));
    let readme = readme(&run, &services);
    assert!(readme.starts_with(FIRST_LINE));
    assert_text("ecs/README.md", &readme);
}

/// In every account and every region.
#[tokio::test]
async fn each_service_starts_the_newest_revision_of_its_own_definition() {
    let stack = stack();
    let run = run(&stack);
    let services = shapes(&stack);
    let (manifests, unwire) = requests(&run, &services, "unwire").await.unwrap();
    let template = template(&run, &manifests);
    let resources = template["Resources"].as_object().unwrap();
    assert_eq!(resources.len(), 2 * services.len());
    for (manifest, service) in manifests.iter().zip(&services) {
        assert_eq!(manifest.definition["family"], json!(service.name));
        assert_eq!(manifest.service["taskDefinition"], json!(service.name));
        assert_eq!(manifest.service["desiredCount"], json!(service.count));
        let mut formed = resources.values();
        let formed = formed.find(|one| one["Properties"]["ServiceName"] == service.name.as_str());
        let definition = &formed.unwrap()["Properties"]["TaskDefinition"]["Ref"];
        let definition = &resources[definition.as_str().unwrap()];
        assert_eq!(definition["Properties"]["Family"], json!(service.name));
    }
    assert_eq!(unwire["taskDefinition"], json!("cf_shapes_trainer"));
    assert_eq!(unwire["clientToken"], json!(null), "it may be asked twice");
}
