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

#[test]
fn services_beside_each_other_are_on_loopback_and_the_console_has_a_token() {
    let text = include_str!("../../../infra/compose/docker-compose.yml");
    let published: Vec<&str> = text
        .lines()
        .skip_while(|line| *line != "services:")
        .filter_map(|line| line.strip_prefix("      - "))
        .filter(|item| item.contains(':') && item.ends_with(|c: char| c.is_ascii_digit()))
        .collect();
    assert_eq!(published.len(), 4, "{published:?}");
    for port in published {
        let is_on_loopback = ["${CUTTLEFISH_LISTEN:-127.0.0.1}:", "127.0.0.1:"];
        assert!(
            is_on_loopback.iter().any(|start| port.starts_with(start)),
            "{port}"
        );
    }
    let console = text.split_once("\n  console:\n").expect("it is there").1;
    let console = console.split("\n\n").next().expect("a service");
    assert!(console.contains("CUTTLEFISH_CONSOLE_TOKEN: ${CUTTLEFISH_CONSOLE_TOKEN:?"));
    assert!(!console.contains("CUTTLEFISH_LISTEN"), "{console}");
    // What it writes is in the volume.
    let dockerfile = include_str!("../../../infra/docker/Dockerfile");
    let volume = console.split_once("- console:").expect("a volume").1;
    let volume = volume.lines().next().expect("a directory");
    for variable in ["CUTTLEFISH_RUNS_DIR", "CUTTLEFISH_DATA_DIR"] {
        assert!(
            dockerfile.contains(&format!("{variable}={volume}/")),
            "{variable}"
        );
    }
}
