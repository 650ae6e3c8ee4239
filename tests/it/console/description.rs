//! The API's description: it has every address, and nothing else.

use std::collections::BTreeSet;

use regex_lite::Regex;

use super::*;

/// Methods and addresses that the sources serve.
fn served() -> BTreeSet<String> {
    let resource = Regex::new(r#"resource\(\s*"([^"]+)",\s*\[([^\]]+)\]"#);
    let (resource, method) = (
        resource.expect("a pattern"),
        Regex::new(r"(\w+)\(\)\.to\(").expect("a pattern"),
    );
    let mut served = BTreeSet::new();
    for entry in std::fs::read_dir("src/console/api").expect("the folder") {
        let text = std::fs::read_to_string(entry.expect("an entry").path()).expect("a source");
        for found in resource.captures_iter(&text) {
            for method in method.captures_iter(&found[2]) {
                served.insert(format!("{} {}", &method[1], &found[1]));
            }
        }
    }
    served
}

#[test]
fn every_address_is_described_and_every_reference_leads_somewhere() {
    let console = Console::start();
    let document = console.get("/openapi.json").json(200);
    assert_eq!(document["openapi"], "3.1.0");
    let mut described = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for method in methods.as_object().expect("methods").keys() {
            described.insert(format!("{method} {path}"));
        }
    }
    let served = served();
    assert!(served.len() > 30, "{served:?}");
    assert_eq!(described, served);

    let mut open = vec![&document];
    let mut references = 0;
    while let Some(value) = open.pop() {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(path)) = members.get("$ref") {
                    references += 1;
                    let pointer = path.strip_prefix('#').expect("a path in the document");
                    assert!(document.pointer(pointer).is_some(), "{path}");
                }
                open.extend(members.values());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    assert!(references > 30, "{references}");
}
