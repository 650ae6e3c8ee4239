//! One neuron's state in the table: which condition it is written on, and what a reader may meet.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use cuttlefish_core::ids::{CommitPoint, Generation};
use cuttlefish_core::protocol::NeuronState;

use super::dynamodb::{DynamoStore, refused};
use super::item::{self, Item, Neuron};
use super::{Error, WriteReply};

impl DynamoStore {
    pub(super) async fn write_neuron(
        &self,
        neuron: Neuron,
        generation: Generation,
        commit: CommitPoint,
        rendered: item::NeuronItems,
    ) -> Result<WriteReply, Error> {
        let is_split = !rendered.parts.is_empty();
        for part in rendered.parts {
            self.put(part).await?;
        }
        let written = self.put_head(generation, commit, rendered.head).await?;
        if is_split && written == WriteReply::Accepted {
            // The commit is written; what it replaced is only in the way.
            if let Err(error) = self.remove_older_parts(neuron, generation, commit).await {
                tracing::warn!(%error, "old parts of a neuron were not removed");
            }
        }
        Ok(written)
    }

    /// The conditional write that decides. Repeating it passes the condition, so a lost reply
    /// needs no comparison with what is there.
    async fn put_head(
        &self,
        generation: Generation,
        commit: CommitPoint,
        head: Item,
    ) -> Result<WriteReply, Error> {
        let result = self
            .client
            .put_item()
            .table_name(&*self.table)
            .set_item(Some(head))
            .condition_expression(
                "attribute_not_exists(pk) OR #generation < :generation \
                 OR (#generation = :generation AND #number <= :number)",
            )
            .expression_attribute_names("#generation", "generation")
            .expression_attribute_names("#number", "number")
            .expression_attribute_values(":generation", item::number(generation))
            .expression_attribute_values(":number", item::number(commit.number))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match result {
            Ok(_) => Ok(WriteReply::Accepted),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                    Ok(refused(failed.item(), generation))
                }
                _ => Err(Error::from_sdk("PutItem", &self.table, error)),
            },
        }
    }

    /// Removes parts in this slot of older generations and commits: exactly those that sort
    /// before ours, so nothing that a newer head names or will name.
    async fn remove_older_parts(
        &self,
        neuron: Neuron,
        generation: Generation,
        commit: CommitPoint,
    ) -> Result<(), Error> {
        let mut pages = self
            .client
            .query()
            .table_name(&*self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :ours")
            .expression_attribute_values(":pk", item::text(item::neuron_pk(&self.run, neuron)))
            .expression_attribute_values(":first", item::text(item::first_part_sk(commit)))
            .expression_attribute_values(
                ":ours",
                item::text(item::parts_prefix(generation, commit)),
            )
            .projection_expression("pk, sk")
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Error::from_sdk("Query", &self.table, error))?;
            self.delete(page.items.unwrap_or_default()).await?;
        }
        Ok(())
    }

    pub(super) async fn read_neuron(
        &self,
        neuron: Neuron,
        expected: CommitPoint,
    ) -> Result<NeuronState, Error> {
        let Neuron { layer, index } = neuron;
        let damaged = |problem| Error::Corrupt {
            layer,
            neuron: index,
            expected,
            problem,
        };
        let pk = item::neuron_pk(&self.run, neuron);
        let key = item::key(&pk, item::head_sk(expected));
        let mut known = None;
        loop {
            let item = self.get(key.clone()).await?.ok_or(Error::Missing {
                layer,
                neuron: index,
                expected,
            })?;
            let head = item::parse_head(item).map_err(damaged)?;
            if head.commit != expected {
                return Err(Error::OtherCommit {
                    layer,
                    neuron: index,
                    expected,
                    found: head.commit,
                });
            }
            let mut parts = Vec::new();
            let mut absent = None;
            for sk in head.part_sks() {
                match self.get(item::key(&pk, &sk)).await? {
                    Some(part) => parts.push(item::parse_part(part).map_err(damaged)?),
                    None => absent = Some(sk),
                }
            }
            match absent {
                None => return head.assemble(neuron, &parts).map_err(damaged),
                // A writer may have replaced the head between our reads and removed its parts.
                // An unchanged head means that they are really gone.
                Some(sk) if known.as_ref() == Some(&head) => {
                    return Err(damaged(format!("its part `{sk}` is missing")));
                }
                Some(_) => known = Some(head),
            }
        }
    }
}
