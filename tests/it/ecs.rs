//! Behaviour of ECS that an emulator does not show: too many requests, lists that lag behind, names that are
//! still being left, and failures in answers that are no errors. A strict fake of the API shows them to the
//! real client.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_ecs::Client;
use aws_sdk_ecs::config::retry::RetryConfig;
use aws_sdk_ecs::config::{BehaviorVersion, Credentials, Region};
use cuttlefish::deploy::ecs::Ecs;
use cuttlefish::deploy::ecs::desired::{Service, TaskDefinition, TaskNetwork};
use cuttlefish::deploy::ecs::reconcile::{ServiceAction, reconcile};
use cuttlefish::deploy::ecs::stack::{Capacity, Stack};
use serde_json::{Value, json};

/// State of the fake, with its misbehaviour.
#[derive(Default)]
struct FakeEcs {
    services: BTreeMap<String, Value>,
    definitions: Vec<Value>,
    /// Looks at a service that is being left until it is gone.
    looks_until_gone: u32,
    /// Requests of each kind that are too many.
    throttled: u32,
    /// Refusals to delete a service that are left, and their code.
    undeletable: HashMap<String, (u32, &'static str)>,
    requests: HashMap<String, u32>,
}

impl FakeEcs {
    /// Status and answer.
    fn answer(&mut self, operation: &str, request: &Value) -> (u16, Value) {
        let count = self.requests.entry(operation.to_owned()).or_default();
        *count += 1;
        if *count <= self.throttled {
            return refusal("ThrottlingException", "Rate exceeded");
        }
        let text = |name: &str| request[name].as_str().unwrap_or_default().to_owned();
        match operation {
            // It never has what is new.
            "ListServices" => (200, json!({"serviceArns": []})),
            "DescribeServices" => (200, self.describe(request)),
            "RegisterTaskDefinition" => {
                let mut definition = request.clone();
                let family = text("family");
                let revision = self.definitions.len();
                definition["taskDefinitionArn"] = json!(format!("{family}:{revision}"));
                if let Some(containers) = definition["containerDefinitions"].as_array_mut() {
                    // ECS promises no order.
                    for container in containers {
                        for list in ["environment", "secrets"] {
                            container[list].as_array_mut().unwrap().reverse();
                        }
                    }
                }
                self.definitions.push(definition.clone());
                (200, json!({"taskDefinition": definition}))
            }
            "DescribeTaskDefinition" => {
                let arn = text("taskDefinition");
                let mut all = self.definitions.iter();
                let definition = all.find(|one| one["taskDefinitionArn"] == arn.as_str());
                (200, json!({"taskDefinition": definition}))
            }
            "CreateService" => match self.services.get(&text("serviceName")) {
                Some(service) if service["status"] == "DRAINING" => refusal(
                    "InvalidParameterException",
                    "Unable to Start a service that is still Draining.",
                ),
                Some(service) if service["status"] == "ACTIVE" => refusal(
                    "InvalidParameterException",
                    "Creation of service was not idempotent.",
                ),
                _ => {
                    let mut service = request.clone();
                    service["status"] = json!("ACTIVE");
                    self.services.insert(text("serviceName"), service.clone());
                    (200, json!({"service": service}))
                }
            },
            "UpdateService" => match self.services.get_mut(&text("service")) {
                Some(service) if service["status"] == "ACTIVE" => {
                    let changed = request.as_object().unwrap().iter();
                    for (name, value) in changed.filter(|(name, _)| *name != "service") {
                        assert_ne!(name, "launchType", "UpdateService has none");
                        service[name] = value.clone();
                    }
                    (200, json!({"service": service}))
                }
                _ => refusal("ServiceNotActiveException", "Service was not ACTIVE."),
            },
            "ListTasks" => (200, json!({"taskArns": []})),
            "DeleteService" => {
                if let Some((times, code)) = self.undeletable.get_mut(&text("service"))
                    && *times > 0
                {
                    *times -= 1;
                    return refusal(code, "not now");
                }
                let service = self.services.get_mut(&text("service")).unwrap();
                service["status"] = json!("DRAINING");
                (200, json!({"service": service}))
            }
            "RunTask" => {
                let failure = json!({"arn": "instance", "reason": "RESOURCE:CPU"});
                (200, json!({"tasks": [], "failures": [failure]}))
            }
            other => refusal("InvalidAction", other),
        }
    }

    fn describe(&mut self, request: &Value) -> Value {
        let names = request["services"].as_array().unwrap();
        assert!(names.len() <= 10, "more than DescribeServices takes");
        let mut services = Vec::new();
        let mut failures = Vec::new();
        for name in names {
            match self.services.get_mut(name.as_str().unwrap()) {
                Some(service) => {
                    if service["status"] == "DRAINING" {
                        match self.looks_until_gone.checked_sub(1) {
                            Some(left) => self.looks_until_gone = left,
                            None => service["status"] = json!("INACTIVE"),
                        }
                    }
                    let mut service = service.clone();
                    // ECS promises no order.
                    let vpc = &mut service["networkConfiguration"]["awsvpcConfiguration"];
                    if let Some(subnets) = vpc["subnets"].as_array_mut() {
                        subnets.reverse();
                    }
                    services.push(service);
                }
                None => failures.push(json!({"arn": name, "reason": "MISSING"})),
            }
        }
        json!({"services": services, "failures": failures})
    }
}

fn refusal(kind: &str, message: &str) -> (u16, Value) {
    (400, json!({"__type": kind, "message": message}))
}

/// Serves the fake on a connection, request after request.
fn serve(stream: TcpStream, fake: &Mutex<FakeEcs>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    loop {
        let (mut operation, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let Some((name, value)) = line.trim().split_once(':') else {
                if line.trim().is_empty() {
                    break;
                }
                continue;
            };
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "x-amz-target" => {
                    operation = value.rsplit('.').next().unwrap_or_default().to_owned();
                }
                "content-length" => length = value.parse().unwrap(),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let request = serde_json::from_slice(&body).unwrap_or_default();
        let (status, answer) = fake.lock().unwrap().answer(&operation, &request);
        let answer = answer.to_string();
        write!(
            stream,
            "HTTP/1.1 {status} x\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: {}\r\n\r\n{answer}",
            answer.len()
        )?;
    }
}

/// A fake, and a run in its cluster.
fn start(fake: FakeEcs) -> (Ecs, Arc<Mutex<FakeEcs>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let fake = Arc::new(Mutex::new(fake));
    let served = fake.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let served = served.clone();
            std::thread::spawn(move || serve(stream, &served));
        }
    });
    let retries = RetryConfig::standard()
        .with_max_attempts(10)
        .with_initial_backoff(Duration::from_millis(1));
    let config = aws_sdk_ecs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::new("k", "s", None, None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(retries)
        .endpoint_url(url);
    let client = Client::from_conf(config.build());
    (Ecs::new(client, Stack::planned(), "run", "owner"), fake)
}

fn service(name: &str) -> Service {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Service {
        name: format!("cf_run_{name}"),
        count: 3,
        definition: TaskDefinition {
            family: format!("cf_run_{name}"),
            cpu: 256,
            memory: 512,
            image: "image:1".to_owned(),
            command: vec!["actor".to_owned()],
            environment: vec![pair("A", "1"), pair("B", "2")],
            secrets: vec![pair("C", "arn:c"), pair("D", "arn:d")],
            user: "65532:65532".to_owned(),
            task_role: "arn:task".to_owned(),
            execution_role: "arn:execution".to_owned(),
            log_group: "/log".to_owned(),
            region: "eu-west-1".to_owned(),
            capacity: Capacity::Fargate,
        },
        network: TaskNetwork {
            subnets: ["subnet-1", "subnet-2"].map(str::to_owned).into(),
            security_groups: ["sg-1".to_owned()].into(),
            is_public: false,
        },
    }
}

fn services() -> Vec<Service> {
    (0..12).map(|n| service(&format!("unit_{n:02}"))).collect()
}

fn names(services: &[Service]) -> Vec<String> {
    services.iter().map(|one| one.name.clone()).collect()
}

#[tokio::test]
async fn what_is_new_is_found_before_it_is_listed_and_too_many_requests_are_repeated() {
    let (ecs, fake) = start(FakeEcs {
        throttled: 3,
        ..FakeEcs::default()
    });
    let desired = services();
    let observed = ecs.observe(&names(&desired)).await.unwrap();
    for action in reconcile(&desired, &observed) {
        ecs.apply(&action).await.unwrap();
    }
    // As if nothing had been done, it is looked at again.
    let observed = ecs.observe(&names(&desired)).await.unwrap();
    assert_eq!(reconcile(&desired, &observed), []);
    assert!(
        observed
            .iter()
            .all(|one| one.owner.as_deref() == Some("owner"))
    );
    let requests = &fake.lock().unwrap().requests;
    assert_eq!(requests["CreateService"], 12 + 3);
    assert_eq!(requests["RegisterTaskDefinition"], 12 + 3);
}

#[tokio::test]
async fn a_service_that_is_being_left_is_waited_for() {
    let (ecs, _fake) = start(FakeEcs {
        looks_until_gone: 1,
        ..FakeEcs::default()
    });
    let desired = [service("trainer")];
    let create = ServiceAction::Create(Box::new(desired[0].clone()));
    ecs.apply(&create).await.unwrap();
    ecs.apply(&ServiceAction::Delete(desired[0].name.clone()))
        .await
        .unwrap();
    let error = ecs.apply(&create).await.unwrap_err().to_string();
    assert!(
        error.contains("create service cf_run_trainer: InvalidParameterException"),
        "{error}"
    );
    let observed = ecs.observe(&names(&desired)).await.unwrap();
    assert!(observed[0].is_leaving);
    ecs.wait_until_gone(&names(&desired)).await.unwrap();
    assert_eq!(ecs.observe(&names(&desired)).await.unwrap(), []);
    ecs.apply(&create).await.unwrap();
}

#[tokio::test]
async fn a_service_that_cannot_be_removed_keeps_no_other_and_one_that_may_is_tried_again() {
    let desired = services();
    // More often than the SDK tries by itself.
    let late = (desired[5].name.clone(), (12, "ThrottlingException"));
    let never = (desired[3].name.clone(), (u32::MAX, "AccessDeniedException"));
    let (ecs, fake) = start(FakeEcs {
        undeletable: HashMap::from([late, never]),
        ..FakeEcs::default()
    });
    let created = reconcile(&desired, &[]);
    ecs.apply_all(&created, &|_| {}, &|| true).await.unwrap();
    let observed = ecs.observe(&names(&desired)).await.unwrap();
    assert_eq!(observed.len(), 12);
    let error = ecs.remove_all(observed, &|_| {}).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "remove 1 of 12 services: {}: AccessDeniedException: not now",
            desired[3].name
        )
    );
    let observed = ecs.observe(&names(&desired)).await.unwrap();
    assert_eq!(observed.len(), 1);
    // Said again, it works.
    fake.lock().unwrap().undeletable.clear();
    ecs.remove_all(observed, &|_| {}).await.unwrap();
    assert_eq!(ecs.observe(&names(&desired)).await.unwrap(), []);
}

#[tokio::test]
async fn a_task_that_finds_no_place_is_an_error_although_the_answer_is_none() {
    let (ecs, _fake) = start(FakeEcs::default());
    let error = ecs.run_once("cf_run_trainer", "unwire").await.unwrap_err();
    let text = error.to_string();
    assert_eq!(text, "run a task of cf_run_trainer: RESOURCE:CPU");
}

#[tokio::test]
async fn a_service_that_somebody_has_moved_is_brought_back() {
    let (ecs, fake) = start(FakeEcs {
        looks_until_gone: 2,
        ..FakeEcs::default()
    });
    let desired = [service("moved"), service("relaunched")];
    for service in &desired {
        let create = ServiceAction::Create(Box::new(service.clone()));
        ecs.apply(&create).await.unwrap();
    }
    {
        let services = &mut fake.lock().unwrap().services;
        let moved = services.get_mut("cf_run_moved").unwrap();
        moved["networkConfiguration"]["awsvpcConfiguration"] = json!({
            "subnets": ["subnet-2", "subnet-3"],
            "securityGroups": ["sg-1"],
            "assignPublicIp": "ENABLED",
        });
        services.get_mut("cf_run_relaunched").unwrap()["launchType"] = json!("EC2");
    }
    let observed = ecs.observe(&names(&desired)).await.unwrap();
    let actions = reconcile(&desired, &observed);
    let sentences: Vec<String> = actions.iter().map(ServiceAction::sentence).collect();
    assert_eq!(
        sentences,
        [
            "update cf_run_moved: subnets subnet-1 subnet-2 instead of subnet-2 subnet-3, private \
             addresses instead of public ones",
            "replace cf_run_relaunched: launch type FARGATE instead of EC2",
        ]
    );
    for action in &actions {
        ecs.apply(action).await.unwrap();
    }
    let observed = ecs.observe(&names(&desired)).await.unwrap();
    assert_eq!(reconcile(&desired, &observed), []);
    let requests = &fake.lock().unwrap().requests;
    assert_eq!(
        requests["RegisterTaskDefinition"], 3,
        "one for the new service"
    );
}
