//! The table: created on demand, waited for, and checked.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    TableDescription, TableStatus,
};

use super::Error;

/// Time that a new table may take; DynamoDB needs about ten seconds.
const READY_WITHIN: Duration = Duration::from_secs(60);
pub(super) const POLL_EVERY: Duration = Duration::from_millis(250);

/// Creates the table unless it exists, and waits until it can be used.
pub(super) async fn ensure(client: &Client, table: &str) -> Result<(), Error> {
    if describe(client, table).await?.is_none() {
        create(client, table).await?;
    }
    let mut waited = Duration::ZERO;
    loop {
        let status = match describe(client, table).await? {
            Some(description) if !is_ours(&description) => {
                return Err(Error::ForeignTable {
                    table: table.to_owned(),
                });
            }
            Some(description) => description.table_status,
            // DescribeTable is eventually consistent: it may not know the new table yet.
            None => None,
        }
        .unwrap_or(TableStatus::Creating);
        // A table that is being updated serves requests.
        if matches!(status, TableStatus::Active | TableStatus::Updating) {
            return Ok(());
        }
        if waited >= READY_WITHIN {
            return Err(Error::TableNotReady {
                table: table.to_owned(),
                status: status.as_str().to_owned(),
                seconds: waited.as_secs(),
            });
        }
        tokio::time::sleep(POLL_EVERY).await;
        waited += POLL_EVERY;
    }
}

async fn describe(client: &Client, table: &str) -> Result<Option<TableDescription>, Error> {
    match client.describe_table().table_name(table).send().await {
        Ok(reply) => Ok(reply.table),
        Err(error) => match Error::from_sdk("DescribeTable", table, error) {
            Error::NoTable { .. } => Ok(None),
            error => Err(error),
        },
    }
}

async fn create(client: &Client, table: &str) -> Result<(), Error> {
    let mut request = client
        .create_table()
        .table_name(table)
        .billing_mode(BillingMode::PayPerRequest);
    for (name, kind) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
        let key = KeySchemaElement::builder()
            .attribute_name(name)
            .key_type(kind)
            .build();
        let attribute = AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(ScalarAttributeType::S)
            .build();
        request = request
            .key_schema(key.expect("name and kind are given"))
            .attribute_definitions(attribute.expect("name and type are given"));
    }
    match request.send().await {
        Ok(_) => Ok(()),
        // Somebody else was faster.
        Err(error)
            if error
                .as_service_error()
                .is_some_and(|error| error.is_resource_in_use_exception()) =>
        {
            Ok(())
        }
        Err(error) => Err(Error::from_sdk("CreateTable", table, error)),
    }
}

fn is_ours(table: &TableDescription) -> bool {
    let is_key = |name, kind| {
        table
            .key_schema()
            .iter()
            .any(|key| key.attribute_name == name && key.key_type == kind)
            && table.attribute_definitions().iter().any(|attribute| {
                attribute.attribute_name == name
                    && attribute.attribute_type == ScalarAttributeType::S
            })
    };
    table.key_schema().len() == 2 && is_key("pk", KeyType::Hash) && is_key("sk", KeyType::Range)
}
