use std::collections::HashMap;

use cuttlefish_core::topology::{DataShape, Grouping, TaskShape, parse};

use super::*;

/// The containers of a network with so many hidden neurons, one in each.
fn of_network(hidden: usize, per_bridge: usize) -> Vec<Container> {
    let text = format!(
        "name: t\ndata: {{source: digits}}\nnetwork:\n  layers:\n    - {{type: dense, units: \
         {hidden}}}\n    - {{type: dense, units: 10, activation: softmax}}\n  loss: \
         sparse_categorical_crossentropy\n"
    );
    let document = parse(&text, &[]).expect("a topology");
    let shape = DataShape {
        features: 64,
        image: None,
        value_bytes: 1,
        task: TaskShape::Classification { classes: 10 },
        train_rows: 1000,
        validation_rows: 100,
        test_rows: 100,
    };
    let graph = document.graph(&shape, Grouping::FromFile).expect("a graph");
    let site = Site {
        image: "neuron".to_owned(),
        program: None,
        broker_image: Some("broker".to_owned()),
        own_store: true,
        has_certificates: false,
        store_environment: Vec::new(),
        table: "cuttlefish".to_owned(),
        user: "1:1".to_owned(),
        secrets_dir: "/run/secrets".into(),
        data_dir: "/run/data".into(),
        store_dir: "/run/store".into(),
        feed: Feed::Reference,
        per_bridge,
    };
    containers(&graph, &site)
}

#[test]
fn what_one_bridge_cannot_carry_is_spread_over_several() {
    // Trainer, synapse, ten outputs.
    for (hidden, most, bridges) in [(100, 900, 1), (888, 900, 1), (889, 900, 2), (12, 9, 3)] {
        let containers = of_network(hidden, most);
        let (companions, actors): (Vec<_>, Vec<_>) =
            containers.iter().partition(|one| !one.role.is_actor());
        assert_eq!(actors.len(), hidden + 12);
        let names = networks("t", actors.len(), most);
        assert_eq!(names.len(), bridges);
        let mut on_bridge: HashMap<&str, usize> = HashMap::new();
        for actor in actors {
            assert_eq!(actor.networks.len(), 1, "{}", actor.name);
            *on_bridge.entry(&actor.networks[0]).or_default() += 1;
        }
        assert_eq!(on_bridge.len(), bridges);
        assert!(on_bridge.values().all(|&n| n <= most), "{on_bridge:?}");
        // Everybody has to reach these two.
        assert_eq!(companions.len(), 2);
        for companion in companions {
            assert_eq!(companion.networks, names, "{}", companion.name);
        }
    }
}

#[test]
fn what_everybody_connects_to_may_open_enough_files() {
    for (hidden, files) in [(10, 4096), (490, 8192), (2000, 32_768), (9000, 65_536)] {
        for container in of_network(hidden, CONTAINERS_PER_BRIDGE) {
            let is_service = !container.role.is_actor();
            let expected = is_service.then_some(files);
            assert_eq!(container.open_files, expected, "{}", container.name);
        }
    }
}
