//! The store on DynamoDB, or on anything that speaks its protocol.
//!
//! `item` knows what items look like and `neuron` how one neuron is written and read; this file
//! knows runs.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use cuttlefish_core::ids::{CommitPoint, Generation, NeuronRange};
use cuttlefish_core::protocol::{Ledger, NeuronState};
use tokio::task::JoinSet;

use super::item::{self, Item, Neuron};
use super::{Error, Store, WriteReply, table};

/// Requests of one call that are under way at the same time.
const IN_FLIGHT: usize = 16;
/// Bytes of a ledger or a record: like the values of a neuron, they share an item with little else.
const MAX_TEXT_BYTES: usize = item::MAX_VALUE_BYTES;
const RUN_SK: &str = "run";
const RECORD: &str = "record";
const LEDGER_SK: &str = "ledger";

/// One run's items in one table. Clones share the connection.
#[derive(Clone, Debug)]
pub struct DynamoStore {
    pub(super) client: Client,
    pub(super) table: Arc<str>,
    pub(super) run: Arc<str>,
}

impl DynamoStore {
    /// The store of `run`; nothing is sent yet. Units need no more than this, and no right to
    /// create tables.
    pub fn new(client: Client, table: &str, run: &str) -> Result<Self, Error> {
        // `#` would let one run's keys begin with another's.
        if run.is_empty() || run.len() > 128 || run.contains('#') {
            return Err(Error::InvalidRun {
                name: run.to_owned(),
            });
        }
        Ok(Self {
            client,
            table: table.into(),
            run: run.into(),
        })
    }

    /// The store of another run in the same table.
    ///
    /// # Errors
    /// When this cannot be the name of one.
    pub fn of_run(&self, run: &str) -> Result<Self, Error> {
        Self::new(self.client.clone(), &self.table, run)
    }

    /// Creates the table unless it exists, and waits until it can be used.
    pub async fn ensure_table(&self) -> Result<(), Error> {
        table::ensure(&self.client, &self.table).await
    }

    pub(super) async fn get(&self, key: Item) -> Result<Option<Item>, Error> {
        let request = self.client.get_item().table_name(&*self.table);
        match request
            .set_key(Some(key))
            .consistent_read(true)
            .send()
            .await
        {
            Ok(reply) => Ok(reply.item),
            Err(error) => Err(Error::from_sdk("GetItem", &self.table, error)),
        }
    }

    pub(super) async fn put(&self, item: Item) -> Result<(), Error> {
        let request = self.client.put_item().table_name(&*self.table);
        match request.set_item(Some(item)).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(Error::from_sdk("PutItem", &self.table, error)),
        }
    }

    /// Keeps the run's record unless there is another one, and says whether it is kept.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn put_record_once(&self, record: &str) -> Result<bool, Error> {
        let put = self.client.put_item().table_name(&*self.table);
        let put = put
            .set_item(Some(self.record_item(record)?))
            .condition_expression("attribute_not_exists(#record) OR #record = :record")
            .expression_attribute_names("#record", RECORD)
            .expression_attribute_values(":record", item::text(record));
        match put.send().await {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(false),
                _ => Err(Error::from_sdk("PutItem", &self.table, error)),
            },
        }
    }

    fn record_item(&self, record: &str) -> Result<Item, Error> {
        check_size("the run's record", record)?;
        let mut item = item::key(item::run_pk(&self.run), RUN_SK);
        item.insert(RECORD.to_owned(), item::text(record));
        Ok(item)
    }

    /// Reads generation and ledger out of the ledger item.
    fn parse_ledger(&self, item: &Item) -> Result<(Generation, Option<Ledger>), Error> {
        let damaged = |problem| Error::CorruptLedger {
            run: self.run.to_string(),
            problem,
        };
        let generation = item::integer(item, "generation").map_err(damaged)?;
        let ledger = match item.get("ledger") {
            None => None,
            Some(AttributeValue::S(json)) => {
                Some(serde_json::from_str(json).map_err(|error| damaged(error.to_string()))?)
            }
            Some(_) => return Err(damaged("`ledger` is not text".to_owned())),
        };
        Ok((Generation(generation), ledger))
    }
}

#[async_trait]
impl Store for DynamoStore {
    async fn begin_generation(&self) -> Result<(Generation, Option<Ledger>), Error> {
        // One atomic step: the ledger comes back as it was when the number was drawn.
        let reply = self
            .client
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(item::key(item::run_pk(&self.run), LEDGER_SK)))
            .update_expression("SET #generation = if_not_exists(#generation, :zero) + :one")
            .expression_attribute_names("#generation", "generation")
            .expression_attribute_values(":zero", item::number(0))
            .expression_attribute_values(":one", item::number(1))
            .return_values(ReturnValue::AllNew)
            .send()
            .await
            .map_err(|error| Error::from_sdk("UpdateItem", &self.table, error))?;
        self.parse_ledger(&reply.attributes.unwrap_or_default())
    }

    async fn write_ledger(
        &self,
        generation: Generation,
        ledger: &Ledger,
    ) -> Result<WriteReply, Error> {
        let json = render_ledger(ledger)?;
        let result = self
            .client
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(item::key(item::run_pk(&self.run), LEDGER_SK)))
            .update_expression("SET #ledger = :ledger, #by = :generation")
            .condition_expression("#generation = :generation")
            .expression_attribute_names("#ledger", "ledger")
            .expression_attribute_names("#by", "ledger_generation")
            .expression_attribute_names("#generation", "generation")
            .expression_attribute_values(":ledger", item::text(&json))
            .expression_attribute_values(":generation", item::number(generation))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match result {
            Ok(_) => Ok(WriteReply::Accepted),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    // Our own write may have landed, and the next generation have been drawn
                    // after it, before the reply got lost: then its owner has read our ledger.
                    let is_ours = failed.item().is_some_and(|item| {
                        item.get("ledger_generation") == Some(&item::number(generation))
                            && item.get("ledger") == Some(&item::text(json))
                    });
                    if is_ours {
                        Ok(WriteReply::Accepted)
                    } else {
                        Ok(refused(failed.item(), Generation::default()))
                    }
                }
                _ => Err(Error::from_sdk("UpdateItem", &self.table, error)),
            },
        }
    }

    async fn read_ledger(&self) -> Result<Option<(Generation, Option<Ledger>)>, Error> {
        let key = item::key(item::run_pk(&self.run), LEDGER_SK);
        match self.get(key).await? {
            None => Ok(None),
            Some(item) => self.parse_ledger(&item).map(Some),
        }
    }

    async fn write_commit(
        &self,
        generation: Generation,
        neurons: NeuronRange,
        commit: CommitPoint,
        states: &[NeuronState],
    ) -> Result<WriteReply, Error> {
        assert_eq!(states.len(), neurons.count, "one state for each neuron");
        let jobs = neurons.indices().zip(states).map(|(index, state)| {
            let layer = neurons.layer;
            let neuron = Neuron { layer, index };
            let rendered = item::render(&self.run, neuron, generation, commit, state);
            let store = self.clone();
            async move {
                store
                    .write_neuron(neuron, generation, commit, rendered)
                    .await
            }
        });
        let refusal = in_order(jobs)
            .await?
            .into_iter()
            .filter_map(|written| match written {
                WriteReply::Accepted => None,
                WriteReply::Refused { newest } => Some(newest),
            })
            .max();
        Ok(
            refusal.map_or(WriteReply::Accepted, |newest| WriteReply::Refused {
                newest,
            }),
        )
    }

    async fn read_commit(
        &self,
        neurons: NeuronRange,
        commit: CommitPoint,
    ) -> Result<Vec<NeuronState>, Error> {
        in_order(neurons.indices().map(|index| {
            let layer = neurons.layer;
            let store = self.clone();
            async move { store.read_neuron(Neuron { layer, index }, commit).await }
        }))
        .await
    }

    async fn put_record(&self, record: &str) -> Result<(), Error> {
        self.put(self.record_item(record)?).await
    }

    async fn get_record(&self) -> Result<Option<String>, Error> {
        let key = item::key(item::run_pk(&self.run), RUN_SK);
        let record = self
            .get(key)
            .await?
            .and_then(|mut item| item.remove(RECORD));
        Ok(match record {
            Some(AttributeValue::S(record)) => Some(record),
            _ => None,
        })
    }

    async fn remove_run(&self) -> Result<u64, Error> {
        self.remove_with(item::run_prefix(&self.run)).await
    }
}

impl DynamoStore {
    /// Removes every run whose name begins with this one's and a dot.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn remove_runs_below(&self) -> Result<u64, Error> {
        self.remove_with(format!("{}.", self.run)).await
    }

    async fn remove_with(&self, prefix: String) -> Result<u64, Error> {
        // A scan, because a neuron's key is a partition of its own: it also finds what a crash
        // or an earlier topology left behind. It reads the table once.
        let mut pages = self
            .client
            .scan()
            .table_name(&*self.table)
            .consistent_read(true)
            .filter_expression("begins_with(pk, :prefix)")
            .expression_attribute_values(":prefix", item::text(prefix))
            .projection_expression("pk, sk")
            .into_paginator()
            .send();
        let mut removed = 0;
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Error::from_sdk("Scan", &self.table, error))?;
            removed += self.delete(page.items.unwrap_or_default()).await?;
        }
        Ok(removed)
    }
}

/// Result of a write whose condition failed; `fallback` is for a server that does not return the item.
pub(super) fn refused(
    item: Option<&HashMap<String, AttributeValue>>,
    fallback: Generation,
) -> WriteReply {
    let newest = item.and_then(item::generation).unwrap_or(fallback);
    WriteReply::Refused { newest }
}

/// A ledger as text that reads back as the same ledger.
fn render_ledger(ledger: &Ledger) -> Result<String, Error> {
    let json = serde_json::to_string(ledger).map_err(|_| Error::UnwritableLedger)?;
    // JSON has no infinity and no NaN; they would be written as null and found on a restore.
    if serde_json::from_str::<Ledger>(&json).ok().as_ref() != Some(ledger) {
        return Err(Error::UnwritableLedger);
    }
    check_size("the ledger", &json)?;
    Ok(json)
}

fn check_size(what: &'static str, text: &str) -> Result<(), Error> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(Error::TooLarge {
            what,
            bytes: text.len(),
            max: MAX_TEXT_BYTES,
        });
    }
    Ok(())
}

/// Runs jobs, [`IN_FLIGHT`] at a time, each created when its turn comes, and returns their
/// results in order. The first error ends it and cancels the rest.
pub(super) async fn in_order<T, J>(jobs: impl Iterator<Item = J> + Send) -> Result<Vec<T>, Error>
where
    T: Send + 'static,
    J: Future<Output = Result<T, Error>> + Send + 'static,
{
    let mut running = JoinSet::new();
    let mut results = Vec::new();
    let mut jobs = jobs.enumerate();
    loop {
        while running.len() < IN_FLIGHT
            && let Some((index, job)) = jobs.next()
        {
            results.push(None);
            running.spawn(async move { (index, job.await) });
        }
        match running.join_next().await {
            None => break,
            Some(Ok((index, result))) => results[index] = Some(result?),
            Some(Err(failed)) => match failed.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => unreachable!("nobody cancels a job but the drop of `running`"),
            },
        }
    }
    Ok(results.into_iter().flatten().collect())
}
