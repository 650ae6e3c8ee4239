//! Places where a library may be named, and what the runtime's modules may use of each other. Between
//! packages the compiler holds this; within one, these tests do.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use regex_lite::Regex;

/// A library, and the files and folders that may name it.
const PLACES: [(&str, &[&str]); 15] = [
    ("actix", &["runtime/src/host/actor.rs"]),
    (
        "actix_web",
        &[
            "runtime/src/inspect/",
            "runtime/src/store/serve.rs",
            "src/console/",
        ],
    ),
    ("async_rs", &["runtime/src/transport/amqp/"]),
    ("aws_config", &["runtime/src/store/"]),
    ("aws_sdk_cloudformation", &["src/deploy/ecs/"]),
    ("aws_sdk_dynamodb", &["runtime/src/store/"]),
    ("aws_sdk_ecs", &["src/deploy/ecs/"]),
    ("aws_smithy_http_client", &["runtime/src/store/"]),
    ("aws_smithy_runtime_api", &["runtime/src/store/"]),
    ("bollard", &["src/deploy/docker/"]),
    ("dynoxide", &["runtime/src/store/"]),
    ("k8s_openapi", &["src/deploy/kubernetes/"]),
    ("lapin", &["runtime/src/transport/amqp/"]),
    ("zip", &["src/data/"]),
    ("zune_jpeg", &["src/data/images/"]),
];

/// Modules of the runtime; each may use those before it.
const FLOORS: [&str; 11] = [
    "numbers",
    "log",
    "trust",
    "data",
    "store",
    "config",
    "record",
    "transport",
    "host",
    "inspect",
    "container",
];

/// Rust files below a folder of the checkout, with their paths in it and their text without comments.
fn sources(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join(folder)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).unwrap();
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                files.push((name(root, &path), code(&path)));
            }
        }
    }
    files
}

fn name(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap().display().to_string()
}

fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.fold(String::new(), |code, line| code + line + "\n")
}

#[test]
fn a_library_is_named_in_its_place_and_there_it_is() {
    let files = [sources("src"), sources("runtime/src"), sources("core/src")].concat();
    for (library, places) in PLACES {
        let pattern = Regex::new(&format!(r"(^|[^\w:]){library}(::|;| as )")).unwrap();
        let names: Vec<&str> = files
            .iter()
            .filter(|(_, code)| pattern.is_match(code))
            .map(|(file, _)| file.as_str())
            .collect();
        for file in &names {
            let is_allowed = places.iter().any(|place| file.starts_with(place));
            assert!(is_allowed, "{file} names {library} (only {places:?} may)");
        }
        for place in places {
            let is_used = names.iter().any(|file| file.starts_with(place));
            assert!(is_used, "{place} does not name {library}");
        }
    }
}

#[test]
fn a_module_of_the_runtime_uses_only_those_below_it() {
    let one = Regex::new(r"crate::(\w+)").unwrap();
    let several = Regex::new(r"crate::\{([^;]*)\}").unwrap();
    let word = Regex::new(r"^\w+").unwrap();
    let mut modules = BTreeSet::new();
    for (file, code) in sources("runtime/src") {
        let module = file["runtime/src/".len()..].split(['/', '.']).next();
        let module = module.unwrap();
        if module == "lib" {
            continue;
        }
        modules.insert(module.to_owned());
        let floor = FLOORS.iter().position(|floor| *floor == module);
        let below = &FLOORS[..=floor.unwrap_or_else(|| panic!("{module} is on no floor"))];
        let single = one
            .captures_iter(&code)
            .map(|captures| captures[1].to_owned());
        let listed = several.captures_iter(&code).flat_map(|captures| {
            let names = captures[1].split(',').map(|name| name.trim().to_owned());
            let names = names.filter_map(|name| Some(word.find(&name)?.as_str().to_owned()));
            names.collect::<Vec<_>>()
        });
        for used in single.chain(listed) {
            assert!(
                below.contains(&used.as_str()),
                "{file} uses `{used}` (only {below:?} are below)"
            );
        }
    }
    assert_eq!(modules, FLOORS.map(str::to_owned).into());
}

#[test]
fn hosts_and_the_inspection_know_ports_but_no_backends() {
    for (file, code) in [sources("runtime/src/host"), sources("runtime/src/inspect")].concat() {
        for backend in ["amqp", "DynamoStore", "embedded"] {
            assert!(!code.contains(backend), "{file} names `{backend}`");
        }
    }
}
