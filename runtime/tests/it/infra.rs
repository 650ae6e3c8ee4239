//! Files of `infra/`, compared with what the program does.

use cuttlefish_runtime::store::{DEFAULT_TABLE, DynamoStore, embedded};
use serde_json::{Value, json};

use crate::store::block_on;

#[test]
fn the_table_that_is_described_is_the_one_that_is_made() {
    let text = include_str!("../../../infra/dynamodb/table.json");
    let described: Value = serde_json::from_str(text).unwrap();
    block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let client = embedded::open(&directory.path().join("store.db")).unwrap();
        let store = DynamoStore::new(client.clone(), DEFAULT_TABLE, "run").unwrap();
        store.ensure_table().await.unwrap();
        let made = client.describe_table().table_name(DEFAULT_TABLE);
        let made = made.send().await.unwrap().table.unwrap();
        let attributes = made.attribute_definitions().iter().map(|one| {
            json!({
                "AttributeName": one.attribute_name(),
                "AttributeType": one.attribute_type().as_str(),
            })
        });
        let keys = made.key_schema().iter().map(|one| {
            json!({
                "AttributeName": one.attribute_name(),
                "KeyType": one.key_type().as_str(),
            })
        });
        let mode = made.billing_mode_summary().and_then(|it| it.billing_mode());
        assert_eq!(
            described,
            json!({
                "TableName": made.table_name(),
                "AttributeDefinitions": attributes.collect::<Vec<_>>(),
                "KeySchema": keys.collect::<Vec<_>>(),
                "BillingMode": mode.map(|mode| mode.as_str()),
            })
        );
    });
}
