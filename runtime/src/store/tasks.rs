//! Tasks of a sweep in its store: who has one, for how long, and what came of it.
//!
//! ```text
//! pk = <sweep>#tasks        sk = <task>    `attempt`, `losses`, `worker`, `lease` (Unix time in ms), and in the end
//!                                          `result`
//! pk = <sweep>#rung#<rung>  sk = values    `entries`, a list in the order of arrival; `tasks`, who is in it
//! ```
//!
//! The store is the truth about a task: a message that names one is only a hint. Whoever claims it draws the
//! next attempt, and only the newest attempt may write the result, once.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};

use super::item::{self, Item, MAX_VALUE_BYTES, Neuron};
use super::{DynamoStore, Error};

const RESULT: &str = "result";
const RUNG_SK: &str = "values";

/// Reply to a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The task is the caller's until its lease ends.
    Granted {
        /// Number of the attempt, from 1.
        attempt: u64,
        /// Attempts in a row, this one included, that have neither given the task back nor got on with it.
        losses: u64,
    },
    /// Somebody else has it.
    Held {
        /// End of that lease, Unix time in milliseconds.
        until: u64,
    },
    /// It is done.
    Done {
        /// Its result.
        result: String,
    },
}

/// What a claimant knows of the worker that has the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Nothing: it may be at work.
    Unknown,
    /// It was lost, if it is the one of this attempt.
    Lost {
        /// Number of the attempt.
        attempt: u64,
    },
    /// It was lost, whoever it is.
    Gone,
}

/// A task as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTask {
    /// Name of the task.
    pub task: String,
    /// Attempts so far.
    pub attempt: u64,
    /// Attempts in a row that have neither given the task back nor got on with it.
    pub losses: u64,
    /// The worker of the last one.
    pub worker: String,
    /// End of its lease, Unix time in milliseconds.
    pub lease: u64,
    /// The result, once there is one.
    pub result: Option<String>,
}

impl DynamoStore {
    fn task_key(&self, task: &str) -> Item {
        item::key(format!("{}tasks", item::run_prefix(&self.run)), task)
    }

    /// Claims a task for `worker` until `until`, if at `now` nobody has it or its `holder` is lost. Times are Unix
    /// milliseconds.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn claim_task(
        &self,
        task: &str,
        worker: &str,
        (now, until): (u64, u64),
        holder: Holder,
    ) -> Result<Claim, Error> {
        let (held_after, lost) = match holder {
            // Attempts count from 1.
            Holder::Unknown => (now, 0),
            Holder::Lost { attempt } => (now, attempt),
            // Nobody's lease is longer than for ever.
            Holder::Gone => (u64::MAX, 0),
        };
        let update = self
            .client
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(self.task_key(task)))
            .update_expression(
                "SET attempt = if_not_exists(attempt, :zero) + :one, \
                 losses = if_not_exists(losses, :zero) + :one, lease = :until, worker = :worker",
            )
            .condition_expression(
                "attribute_not_exists(#result) AND \
                 (attribute_not_exists(lease) OR lease <= :now OR attempt = :lost)",
            )
            .expression_attribute_names("#result", RESULT)
            .expression_attribute_values(":zero", item::number(0))
            .expression_attribute_values(":one", item::number(1))
            .expression_attribute_values(":now", item::number(held_after))
            .expression_attribute_values(":lost", item::number(lost))
            .expression_attribute_values(":until", item::number(until))
            .expression_attribute_values(":worker", item::text(worker))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let error = match update {
            Ok(reply) => {
                let stored = parse_task(reply.attributes.unwrap_or_default());
                return Ok(Claim::Granted {
                    attempt: stored.attempt,
                    losses: stored.losses,
                });
            }
            Err(error) => error,
        };
        match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                let stored = parse_task(failed.item().cloned().unwrap_or_default());
                Ok(match stored.result {
                    Some(result) => Claim::Done { result },
                    None => Claim::Held {
                        until: stored.lease,
                    },
                })
            }
            _ => Err(Error::from_sdk("UpdateItem", &self.table, error)),
        }
    }

    /// Makes the lease of an attempt end at `until`; false if the task is no longer this attempt's. With
    /// `is_getting_on` nothing is held against the task any more.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn renew_task(
        &self,
        task: &str,
        attempt: u64,
        until: u64,
        is_getting_on: bool,
    ) -> Result<bool, Error> {
        let losses = if is_getting_on {
            ":losses"
        } else {
            "losses + :losses"
        };
        let lease = format!("SET lease = :until, losses = {losses}");
        self.change_lease(task, attempt, &lease, (until, 0)).await
    }

    /// Gives a task back that was not worked on to its end, through no fault of its own.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn give_task_back(&self, task: &str, attempt: u64) -> Result<bool, Error> {
        let lease = "SET lease = :until, losses = losses - :losses";
        self.change_lease(task, attempt, lease, (0, 1)).await
    }

    async fn change_lease(
        &self,
        task: &str,
        attempt: u64,
        update: &str,
        (until, losses): (u64, u64),
    ) -> Result<bool, Error> {
        let update = self
            .client
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(self.task_key(task)))
            .update_expression(update)
            .condition_expression("attempt = :attempt AND attribute_not_exists(#result)")
            .expression_attribute_names("#result", RESULT)
            .expression_attribute_values(":attempt", item::number(attempt))
            .expression_attribute_values(":losses", item::number(losses))
            .expression_attribute_values(":until", item::number(until));
        self.is_applied(update.send().await.map(drop))
    }

    /// Writes the result of an attempt; false if the task is no longer this attempt's. The same result again is
    /// accepted like the first time.
    ///
    /// # Errors
    /// When the store refuses, or the result is too large for an item.
    pub async fn finish_task(&self, task: &str, attempt: u64, result: &str) -> Result<bool, Error> {
        if result.len() > MAX_VALUE_BYTES {
            return Err(Error::TooLarge {
                what: "the result of a trial",
                bytes: result.len(),
                max: MAX_VALUE_BYTES,
            });
        }
        let update = self
            .client
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(self.task_key(task)))
            .update_expression("SET #result = :result")
            .condition_expression(
                "attempt = :attempt AND (attribute_not_exists(#result) OR #result = :result)",
            )
            .expression_attribute_names("#result", RESULT)
            .expression_attribute_values(":attempt", item::number(attempt))
            .expression_attribute_values(":result", item::text(result));
        self.is_applied(update.send().await.map(drop))
    }

    /// A task; `None` if nobody has ever claimed it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn get_task(&self, task: &str) -> Result<Option<StoredTask>, Error> {
        Ok(self.get(self.task_key(task)).await?.map(parse_task))
    }

    /// Hands every task that was ever claimed to `each`, in the order of their names; a page of them is in
    /// memory at a time.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn each_task(&self, mut each: impl FnMut(StoredTask)) -> Result<(), Error> {
        let pk = format!("{}tasks", item::run_prefix(&self.run));
        let mut pages = self
            .client
            .query()
            .table_name(&*self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", item::text(pk))
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Error::from_sdk("Query", &self.table, error))?;
            let tasks = page.items.unwrap_or_default();
            tasks.into_iter().map(parse_task).for_each(&mut each);
        }
        Ok(())
    }

    /// Adds a task's entry to a rung, and returns the rung up to this entry in the order of arrival. A task that
    /// is in it already gets what it got the first time: its decision is made once.
    ///
    /// # Errors
    /// When the store refuses: a rung is an item, which holds about 4,000 entries.
    pub async fn report_to_rung(
        &self,
        rung: &str,
        task: &str,
        entry: &str,
    ) -> Result<Vec<String>, Error> {
        let pk = format!("{}rung#{rung}", item::run_prefix(&self.run));
        let list = |entries: Vec<AttributeValue>| AttributeValue::L(entries);
        let update = self
            .client
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(item::key(pk, RUNG_SK)))
            .update_expression(
                "SET entries = list_append(if_not_exists(entries, :none), :entry) ADD tasks :task",
            )
            .condition_expression("attribute_not_exists(tasks) OR NOT contains(tasks, :name)")
            .expression_attribute_values(":none", list(Vec::new()))
            .expression_attribute_values(":entry", list(vec![item::text(entry)]))
            .expression_attribute_values(":task", AttributeValue::Ss(vec![task.to_owned()]))
            .expression_attribute_values(":name", item::text(task))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let error = match update {
            Ok(reply) => return Ok(entries(reply.attributes.as_ref())),
            Err(error) => error,
        };
        match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                let mut entries = entries(failed.item());
                // An entry begins with its task.
                let own = |entry: &String| entry.split(' ').next() == Some(task);
                if let Some(at) = entries.iter().position(own) {
                    entries.truncate(at + 1);
                }
                Ok(entries)
            }
            _ => Err(Error::from_sdk("UpdateItem", &self.table, error)),
        }
    }

    /// Removes the commits of a network with so many neurons in each layer, and its ledger. It reads those keys
    /// alone, where [`Store::remove_run`] reads the table.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn remove_commits(&self, layers: &[usize]) -> Result<(), Error> {
        let neurons = layers
            .iter()
            .enumerate()
            .flat_map(|(layer, &units)| (0..units).map(move |index| Neuron { layer, index }));
        let keys = neurons.map(|neuron| item::neuron_pk(&self.run, neuron));
        for pk in keys.chain([item::run_pk(&self.run)]) {
            let mut pages = self
                .client
                .query()
                .table_name(&*self.table)
                .key_condition_expression("pk = :pk")
                .expression_attribute_values(":pk", item::text(pk))
                .projection_expression("pk, sk")
                .into_paginator()
                .send();
            while let Some(page) = pages.next().await {
                let page = page.map_err(|error| Error::from_sdk("Query", &self.table, error))?;
                self.delete(page.items.unwrap_or_default()).await?;
            }
        }
        Ok(())
    }

    /// True if a conditional update was made.
    fn is_applied(
        &self,
        update: Result<(), aws_sdk_dynamodb::error::SdkError<UpdateItemError>>,
    ) -> Result<bool, Error> {
        match update {
            Ok(()) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(false),
                _ => Err(Error::from_sdk("UpdateItem", &self.table, error)),
            },
        }
    }
}

fn parse_task(mut task: Item) -> StoredTask {
    let mut text = |name: &str| match task.remove(name) {
        Some(AttributeValue::S(text)) => Some(text),
        _ => None,
    };
    let (name, worker, result) = (text("sk"), text("worker"), text(RESULT));
    StoredTask {
        task: name.unwrap_or_default(),
        attempt: item::integer(&task, "attempt").unwrap_or_default(),
        losses: item::integer(&task, "losses").unwrap_or_default(),
        worker: worker.unwrap_or_default(),
        lease: item::integer(&task, "lease").unwrap_or_default(),
        result,
    }
}

fn entries(rung: Option<&Item>) -> Vec<String> {
    match rung.and_then(|rung| rung.get("entries")) {
        Some(AttributeValue::L(entries)) => {
            let texts = entries.iter().filter_map(|entry| entry.as_s().ok());
            texts.cloned().collect()
        }
        _ => Vec::new(),
    }
}
