use cuttlefish_core::data::Feed;
use cuttlefish_core::topology::{DataShape, Grouping, Plan, TaskShape, parse};

use super::*;
use crate::deploy::docker::cost::Layout;
use crate::deploy::docker::desired::CONTAINERS_PER_BRIDGE;

const BOTH: Layout = Layout {
    own_broker: true,
    own_store: true,
    per_bridge: CONTAINERS_PER_BRIDGE,
};

/// Cost of a network of one hidden layer, each neuron in a container.
fn cost(hidden: usize, layout: Layout, extra: &str) -> Cost {
    let hidden = format!("{{type: dense, name: hidden, units: {hidden}}}");
    cost_of(&hidden, 64, layout, extra)
}

/// Cost of a network with other layers below the last one, and another batch.
fn cost_of(hidden: &str, batch_size: usize, layout: Layout, extra: &str) -> Cost {
    let text = format!(
        "name: t\ndata: {{source: digits}}\nnetwork:\n  layers:\n    - {hidden}\n    - {{type: dense, \
         name: digit, units: 10, activation: softmax}}\n  loss: sparse_categorical_crossentropy\n\
         training: {{batch_size: {batch_size}}}\n{extra}"
    );
    let document = parse(&text, &[]).expect("a topology");
    let shape = DataShape {
        features: 64,
        image: Some((8, 8)),
        value_bytes: 1,
        task: TaskShape::Classification { classes: 10 },
        train_rows: 1294,
        validation_rows: 143,
        test_rows: 360,
    };
    let graph = document.graph(&shape, Grouping::FromFile).expect("a graph");
    let plan = Plan::new(&graph, &shape, true, Feed::Reference);
    Cost::new(&graph, &plan, layout)
}

#[test]
fn maps_before_pooling_are_counted_although_no_message_has_them() {
    let filter = |pool: &str| {
        let layers = format!(
            "{{type: conv2d, filters: 4, kernel_size: 3, padding: same}}{pool}\n    - {{type: flatten}}"
        );
        cost_of(&layers, 65_536, BOTH, "")
    };
    let [whole, pooled] = ["", "\n    - {type: max_pooling2d, pool_size: 8}"].map(filter);
    let own = |cost: &Cost| cost.memory[0].expected_bytes >> 20;
    // Four arrays of 64 places, and two batches of 64 features in two layouts, of 65,536 numbers.
    assert!(own(&pooled) > 128, "{}", own(&pooled));
    assert!(own(&whole) > own(&pooled) + 64, "and what is sent");
    let exceeded = standing(&pooled, &host(), "memory of one container of units");
    assert_eq!(exceeded, Standing::Exceeded);
}

#[test]
fn a_message_has_to_be_one_that_the_broker_takes() {
    let filters = |batch_size| {
        let layers = "{type: conv2d, filters: 32, kernel_size: 1}\n    - {type: flatten}";
        let cost = cost_of(layers, batch_size, BOTH, "");
        standing(&cost, &host(), "broker: a message")
    };
    // All 32 maps of 64 places go to the next layer in one message.
    let (fits, too_many) = (2047, 2048);
    assert_eq!(filters(fits), Standing::Holds);
    assert_eq!(filters(too_many), Standing::Exceeded);
}

#[test]
fn the_largest_message_is_that_of_the_brokers_settings() {
    let settings = include_str!("../../../../infra/rabbitmq/cuttlefish.conf");
    let line = format!("max_message_size = {LARGEST_MESSAGE}");
    assert!(settings.lines().any(|of| of == line), "{line}");
}

/// A machine like the one that the costs were measured on, with a larger neighbour table.
fn host() -> HostLimits {
    let usage = |most, used| Usage { most, used };
    HostLimits {
        name: "Docker 20.10 on host".to_owned(),
        processors: 2,
        own_containers: 0,
        memory: usage(24 << 30, 2 << 30),
        networks: usage(31, 1),
        addresses: 4093,
        kernel: Some(KernelLimits {
            threads: usage(32_768, 200),
            open_files: usage(2_000_000, 1000),
            neighbour_entries: 16_384,
            daemon_open_files: Some(usage(20_000, 22)),
        }),
    }
}

fn find<'a>(limits: &'a [Limit], what: &str) -> &'a Limit {
    let limit = limits.iter().find(|limit| limit.what.starts_with(what));
    limit.unwrap_or_else(|| panic!("no limit `{what}` in {limits:#?}"))
}

fn standing(cost: &Cost, host: &HostLimits, what: &str) -> Standing {
    find(&limits(cost, Some(host), None), what).standing
}

#[test]
fn five_hundred_neurons_cost_what_was_measured() {
    let cost = cost(490, BOTH, "");
    assert_eq!((cost.containers, cost.networks), (504, 1));
    // Measured: 4.8 GiB, by adding up what the processes and the kernel had.
    let gib = cost.expected_memory() as f64 / f64::from(1 << 30);
    assert!((4.3..5.5).contains(&gib), "{gib} GiB");
    assert!((11_000..14_000).contains(&cost.threads), "{}", cost.threads);
    assert_eq!(cost.neighbour_entries, 5 * 502);
    let broker = cost.broker;
    assert_eq!((broker.connections, broker.queues), (503, 500 * 2 + 10 + 2));
    assert!(
        (300..500).contains(&(broker.memory_bytes >> 20)),
        "{broker:?}"
    );
}

#[test]
fn what_fits_holds_and_every_limit_is_looked_at() {
    let cost = cost(490, BOTH, "");
    let limits = limits(&cost, Some(&host()), None);
    assert_eq!(limits.len(), 13);
    for limit in &limits {
        let noted = limit.what == "memory, sum of limits";
        let expected = if noted {
            Standing::Noted
        } else {
            Standing::Holds
        };
        assert_eq!(limit.standing, expected, "{limit}");
    }
}

/// Each limit of the host by itself is enough to refuse a run, or to say something about it.
#[test]
fn each_limit_is_exceeded_by_itself() {
    let cost = cost(490, BOTH, "");
    let full = |usage: &mut Usage| usage.used = usage.most;
    let kernel = |host: &mut HostLimits, change: fn(&mut KernelLimits)| {
        change(host.kernel.as_mut().expect("it has one"));
    };
    type Change<'a> = &'a dyn Fn(&mut HostLimits);
    let cases: [(&str, Change<'_>, Standing); 8] = [
        (
            "bridge networks",
            &|h| full(&mut h.networks),
            Standing::Exceeded,
        ),
        (
            "addresses on a bridge",
            &|h| h.addresses = 253,
            Standing::Exceeded,
        ),
        (
            "memory, expected use",
            &|h| full(&mut h.memory),
            Standing::Exceeded,
        ),
        (
            "memory, sum of limits",
            &|h| h.memory.most = 8 << 30,
            Standing::Noted,
        ),
        (
            "processes and threads",
            &|h| kernel(h, |k| k.threads.most = 12_000),
            Standing::Exceeded,
        ),
        (
            "open files of the host",
            &|h| kernel(h, |k| k.open_files.most = 30_000),
            Standing::Exceeded,
        ),
        (
            "open files of the daemon",
            &|h| {
                kernel(h, |k| {
                    k.daemon_open_files = Some(Usage {
                        most: 1024,
                        used: 20,
                    })
                })
            },
            Standing::Exceeded,
        ),
        (
            "neighbour table",
            &|h| kernel(h, |k| k.neighbour_entries = 1024),
            Standing::Exceeded,
        ),
    ];
    for (what, change, expected) in cases {
        let mut host = host();
        change(&mut host);
        assert_eq!(standing(&cost, &host, what), expected, "{what}");
        let exceeded = limits(&cost, Some(&host), None);
        let exceeded = exceeded
            .iter()
            .filter(|limit| limit.standing == Standing::Exceeded);
        let count = usize::from(expected == Standing::Exceeded);
        assert_eq!(exceeded.count(), count, "{what}: and nothing else");
    }
}

#[test]
fn what_is_not_known_is_said_and_refuses_nothing() {
    let cost = cost(490, BOTH, "");
    let limits = limits(&cost, None, None);
    for what in [
        "memory, expected use",
        "processes and threads",
        "bridge networks",
    ] {
        let limit = find(&limits, what);
        assert_eq!(
            (limit.standing, limit.available),
            (Standing::Unknown, None),
            "{what}"
        );
    }
    // Limits that do not depend on the host are known.
    assert_eq!(find(&limits, "broker: memory").standing, Standing::Holds);
    assert_eq!(
        find(&limits, "containers on a bridge").standing,
        Standing::Holds
    );
    let mut elsewhere = host();
    elsewhere.kernel = None;
    assert_eq!(standing(&cost, &elsewhere, "processes"), Standing::Unknown);
    assert_eq!(
        standing(&cost, &elsewhere, "memory, expected"),
        Standing::Holds
    );
}

#[test]
fn what_the_run_has_already_is_there_for_it() {
    let cost = cost(490, BOTH, "");
    let mut host = host();
    host.memory.used = host.memory.most - (1 << 30);
    assert_eq!(
        standing(&cost, &host, "memory, expected"),
        Standing::Exceeded
    );
    host.own_containers = cost.containers;
    assert_eq!(standing(&cost, &host, "memory, expected"), Standing::Holds);
    let limits = limits(&cost, Some(&host), None);
    let available = |what| find(&limits, what).available;
    assert_eq!(
        available("broker: open files"),
        Some(SERVICE_FILES),
        "no more than there is"
    );
    host.own_containers = cost.containers / 2;
    assert_eq!(
        standing(&cost, &host, "memory, expected"),
        Standing::Exceeded
    );
}

#[test]
fn a_container_that_would_be_killed_is_refused() {
    let grouped = |memory: &str| {
        let resources =
            format!("deployment: {{neurons_per_unit: 2000, resources: {{memory: {memory}}}}}\n");
        let cost = cost(2000, BOTH, &resources);
        limits(&cost, Some(&host()), None)
    };
    let tight = grouped("6MiB");
    let limit = find(&tight, "memory of one container of units of hidden");
    assert_eq!(limit.standing, Standing::Exceeded);
    assert!(limit.to_string().contains("6.0 MiB available"), "{limit}");
    assert!(
        limit.to_string().contains("deployment.resources.memory"),
        "{limit}"
    );
    let enough = grouped("64MiB");
    assert!(
        enough
            .iter()
            .all(|limit| !limit.what.contains("one container"))
    );
}

#[test]
fn a_broker_that_was_there_has_its_own_room() {
    let external = Layout {
        own_broker: false,
        ..BOTH
    };
    let cost = cost(490, external, "");
    let usage = |most, used| Usage { most, used };
    let roomy = BrokerLimits {
        open_files: usage(65_536, 100),
        memory: usage(4 << 30, 1 << 30),
        erlang_processes: usage(1_048_576, 1000),
    };
    let of = |broker: &BrokerLimits, what: &str| {
        find(&limits(&cost, Some(&host()), Some(broker)), what).standing
    };
    type Change = fn(&mut BrokerLimits);
    let cases: [(&str, Change); 3] = [
        ("broker: open files", |broker| broker.open_files.most = 1024),
        ("broker: memory", |broker| broker.memory.used = 4 << 30),
        ("broker: Erlang processes", |broker| {
            broker.erlang_processes.most = 8_000
        }),
    ];
    for (what, change) in cases {
        assert_eq!(of(&roomy, what), Standing::Holds, "{what}");
        let mut small = roomy;
        change(&mut small);
        assert_eq!(of(&small, what), Standing::Exceeded, "{what}");
    }
    let unknown = limits(&cost, Some(&host()), None);
    assert_eq!(find(&unknown, "broker: memory").standing, Standing::Unknown);
}

#[test]
fn several_bridges_take_what_one_cannot() {
    let cost = cost(2000, BOTH, "");
    assert_eq!((cost.networks, cost.containers_on_a_bridge), (3, 902));
    let limits = limits(&cost, Some(&host()), None);
    assert_eq!(
        find(&limits, "containers on a bridge").standing,
        Standing::Holds
    );
    // 50,000 threads are too many for 32,768 numbers of processes.
    assert_eq!(find(&limits, "processes").standing, Standing::Exceeded);
}

#[test]
fn the_own_brokers_memory_is_that_of_its_settings() {
    let settings = include_str!("../../../../infra/rabbitmq/cuttlefish.conf");
    assert!(settings.contains("\nvm_memory_high_watermark.absolute = 2GB\n"));
    assert_eq!(OWN_BROKER.memory.most, 2_000_000_000);
}
