//! CloudFormation stack of `infra/cloudformation`, whose outputs have to exist in an AWS account before a
//! run. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// CloudFormation stack of a run: the places and rights of its tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stack {
    /// Its name.
    pub name: String,
    /// The ECS cluster.
    pub cluster: String,
    /// Capacity that runs the containers.
    pub capacity: Capacity,
    /// The subnets of tasks.
    pub subnets: Vec<String>,
    /// The security group of tasks.
    pub security_group: String,
    /// ARN of the role that actors have: their part of the table.
    pub task_role: String,
    /// ARN of the role that ECS has while it starts them: image, secrets, log.
    pub execution_role: String,
    /// The CloudWatch group of their logs.
    pub log_group: String,
    /// The DynamoDB table.
    pub table: String,
    /// ARN of the secret with the broker's address for the trainer, who wires.
    pub trainer_broker: String,
    /// ARN of the secret with the broker's address for everybody else.
    pub actor_broker: String,
    /// ARN of the secret with the token of the actors' inspection.
    pub token: String,
    /// ARN of the certificates that actors trust.
    pub certificates: String,
}

/// Output of `aws cloudformation describe-stacks`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StackDescriptions {
    stacks: Vec<StackDescription>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StackDescription {
    stack_id: String,
    stack_name: String,
    #[serde(default)]
    outputs: Vec<OutputDescription>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OutputDescription {
    output_key: String,
    output_value: String,
}

/// Capacity of a cluster: the owner of the machines that run its containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Capacity {
    /// AWS.
    Fargate,
    /// Instances of the account that are in the cluster.
    Ec2,
}

impl Capacity {
    /// ECS's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Fargate => "FARGATE",
            Self::Ec2 => "EC2",
        }
    }
}

/// Error of a stack that cannot carry runs.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum StackError {
    /// Outputs that the stack does not have.
    #[error(
        "use stack `{stack}`: it has no output {} (bring it up from infra/cloudformation/cuttlefish.yaml)",
        .missing.join(", ")
    )]
    Missing {
        /// Its name.
        stack: String,
        /// The outputs that it does not have.
        missing: Vec<&'static str>,
    },
    /// The text is not what the AWS CLI prints.
    #[error(
        "read the stack: {problem} (give what `aws cloudformation describe-stacks --stack-name NAME` prints)"
    )]
    Unreadable {
        /// Problem of the text.
        problem: String,
    },
    /// An output has an unknown value.
    #[error("use stack `{stack}`: its output {output} is `{value}`, not {expected}")]
    Value {
        /// Its name.
        stack: String,
        /// The output.
        output: &'static str,
        /// Value of the output.
        value: String,
        /// Values that it may have.
        expected: &'static str,
    },
}

impl Stack {
    /// The stack of a plan, which needs none: Fargate's, of no names.
    pub fn planned() -> Self {
        Self {
            name: String::new(),
            cluster: String::new(),
            capacity: Capacity::Fargate,
            subnets: Vec::new(),
            security_group: String::new(),
            task_role: String::new(),
            execution_role: String::new(),
            log_group: String::new(),
            table: String::new(),
            trainer_broker: String::new(),
            actor_broker: String::new(),
            token: String::new(),
            certificates: String::new(),
        }
    }

    /// The only stack that `aws cloudformation describe-stacks` has printed, and its region.
    ///
    /// # Errors
    /// When it is none, or names every output that is missing.
    pub fn described(printed: &str) -> Result<(Self, String), StackError> {
        let unreadable = |problem: String| StackError::Unreadable { problem };
        let printed: StackDescriptions =
            serde_json::from_str(printed).map_err(|error| unreadable(error.to_string()))?;
        let [stack] = printed.stacks.as_slice() else {
            return Err(unreadable(format!("it is {} stacks", printed.stacks.len())));
        };
        // arn:aws:cloudformation:REGION:ACCOUNT:stack/NAME/NUMBER
        let region = stack.stack_id.split(':').nth(3).unwrap_or_default();
        if region.is_empty() {
            return Err(unreadable(format!("`{}` is no ARN", stack.stack_id)));
        }
        let outputs = stack.outputs.iter();
        let outputs = outputs.map(|one| (one.output_key.clone(), one.output_value.clone()));
        let region = region.to_owned();
        Ok((Self::new(&stack.stack_name, &outputs.collect())?, region))
    }

    /// The stack `name` with these outputs.
    ///
    /// # Errors
    /// Names every output that is missing.
    pub fn new(name: &str, outputs: &BTreeMap<String, String>) -> Result<Self, StackError> {
        let mut missing = Vec::new();
        let mut output = |name: &'static str| {
            let value = outputs.get(name).map(|value| value.trim().to_owned());
            let value = value.filter(|value| !value.is_empty());
            value.unwrap_or_else(|| {
                missing.push(name);
                String::new()
            })
        };
        let stack = Self {
            name: name.to_owned(),
            cluster: output("Cluster"),
            subnets: output("Subnets")
                .split(',')
                .map(|subnet| subnet.trim().to_owned())
                .collect(),
            security_group: output("SecurityGroup"),
            task_role: output("TaskRole"),
            execution_role: output("ExecutionRole"),
            log_group: output("LogGroup"),
            table: output("Table"),
            trainer_broker: output("TrainerBrokerSecret"),
            actor_broker: output("ActorBrokerSecret"),
            token: output("TokenSecret"),
            certificates: output("CertificatesSecret"),
            capacity: match output("Capacity").as_str() {
                "EC2" => Capacity::Ec2,
                "FARGATE" | "" => Capacity::Fargate,
                other => {
                    return Err(StackError::Value {
                        stack: name.to_owned(),
                        output: "Capacity",
                        value: other.to_owned(),
                        expected: "FARGATE or EC2",
                    });
                }
            },
        };
        if missing.is_empty() {
            return Ok(stack);
        }
        Err(StackError::Missing {
            stack: name.to_owned(),
            missing,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::deploy::ecs) fn outputs() -> BTreeMap<String, String> {
        [
            ("Cluster", "neurons"),
            ("Capacity", "FARGATE"),
            ("Subnets", "subnet-1, subnet-2"),
            ("SecurityGroup", "sg-1"),
            ("TaskRole", "arn:aws:iam::1:role/task"),
            ("ExecutionRole", "arn:aws:iam::1:role/execution"),
            ("LogGroup", "/cuttlefish"),
            ("Table", "cuttlefish"),
            (
                "TrainerBrokerSecret",
                "arn:aws:secretsmanager:eu-west-1:1:secret:trainer",
            ),
            (
                "ActorBrokerSecret",
                "arn:aws:secretsmanager:eu-west-1:1:secret:actor",
            ),
            (
                "CertificatesSecret",
                "arn:aws:secretsmanager:eu-west-1:1:secret:certificates",
            ),
            (
                "TokenSecret",
                "arn:aws:secretsmanager:eu-west-1:1:secret:token",
            ),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    #[test]
    fn a_stack_that_the_aws_cli_has_printed_is_the_one_that_would_be_read() {
        let outputs: Vec<_> = outputs()
            .into_iter()
            .map(|(key, value)| serde_json::json!({"OutputKey": key, "OutputValue": value}))
            .collect();
        let stack = serde_json::json!({
            "StackId": "arn:aws:cloudformation:eu-west-1:1:stack/here/0",
            "StackName": "here",
            "StackStatus": "CREATE_COMPLETE",
            "Outputs": outputs,
        });
        let printed = |stacks: &[&serde_json::Value]| {
            Stack::described(&serde_json::json!({"Stacks": stacks}).to_string())
        };
        let (parsed, region) = printed(&[&stack]).unwrap();
        assert_eq!(parsed, Stack::new("here", &self::outputs()).unwrap());
        assert_eq!(region, "eu-west-1");
        let problem = |result: Result<_, StackError>| result.unwrap_err().to_string();
        assert!(problem(printed(&[])).contains("it is 0 stacks"));
        assert!(problem(printed(&[&stack, &stack])).contains("it is 2 stacks"));
        let mut odd = stack.clone();
        odd["StackId"] = serde_json::json!("here");
        assert!(problem(printed(&[&odd])).contains("`here` is no ARN"));
        assert!(problem(Stack::described("here")).contains("describe-stacks"));
        let mut bare = stack.clone();
        bare.as_object_mut().unwrap().remove("Outputs");
        assert!(problem(printed(&[&bare])).contains("no output Cluster"));
    }

    #[test]
    fn every_output_that_is_missing_is_named() {
        let stack = Stack::new("here", &outputs()).unwrap();
        assert_eq!(stack.subnets, ["subnet-1", "subnet-2"]);
        let mut few = outputs();
        few.remove("TaskRole");
        few.insert("TokenSecret".to_owned(), " ".to_owned());
        let error = Stack::new("here", &few).unwrap_err().to_string();
        assert!(
            error.contains("no output TaskRole, TokenSecret ("),
            "{error}"
        );
        let mut odd = outputs();
        odd.insert("Capacity".to_owned(), "LAMBDA".to_owned());
        let error = Stack::new("here", &odd).unwrap_err().to_string();
        assert!(error.contains("`LAMBDA`, not FARGATE or EC2"), "{error}");
    }
}
