//! The schema has nothing that the walker does not understand.

use super::*;

/// Fails for every part of the schema that the walker would silently skip.
fn check_known(schema: &Json, at: &str) {
    if *schema == Json::Bool(true) {
        return;
    }
    const KNOWN: [&str; 19] = [
        "$defs",
        "$ref",
        "$schema",
        "additionalProperties",
        "anyOf",
        "const",
        "default",
        "description",
        "format",
        "items",
        "maxItems",
        "maximum",
        "minItems",
        "minimum",
        "oneOf",
        "pattern",
        "properties",
        "required",
        "title",
    ];
    for (key, value) in schema.as_object().expect("a schema is an object") {
        assert!(
            key == "type" || KNOWN.contains(&key.as_str()),
            "{at}: keyword `{key}`"
        );
        let branches = value.as_array().into_iter().flatten().enumerate();
        match key.as_str() {
            "properties" | "$defs" => {
                for (key, value) in value.as_object().expect("a map of schemas") {
                    check_known(value, &format!("{at}/{key}"));
                }
            }
            "items" => check_known(value, &format!("{at}/items")),
            "oneOf" => {
                for (index, branch) in branches {
                    let named = branch.get("const").is_some() || tag_of(branch).is_some();
                    assert!(named, "{at}: branch {index} has neither const nor tag");
                    check_known(branch, &format!("{at}/{index}"));
                }
            }
            "anyOf" => {
                assert_eq!(value[2], Json::Null, "{at}: optional values and two forms");
                check_known(&value[0], at);
                let has_short_form = value[0]["type"] == "string" && value[1]["$ref"] != Json::Null;
                if has_short_form {
                    check_known(&value[1], at);
                } else if value[1]["type"] != "null" {
                    check_known(&value[1], at);
                    let form = |index: usize| {
                        let of = value[index]["$ref"].as_str().and_then(definition);
                        of.unwrap_or_else(|| panic!("{at}: form {index} has no definition"))
                    };
                    assert!(form(0)["properties"].is_object(), "{at}: known by its keys");
                    assert!(
                        form(0)["properties"]["type"].is_null(),
                        "{at}: without `type`"
                    );
                    assert!(form(1)["oneOf"].is_array(), "{at}: the last has a `type`");
                }
            }
            "additionalProperties" if value.is_object() => {
                check_known(value, &format!("{at}/*"));
            }
            "additionalProperties" => assert_eq!(value, &Json::Bool(false), "{at}"),
            "pattern" => {
                let known = PATTERNS.iter().any(|pattern| value == pattern.regex);
                assert!(known, "{at}: pattern `{value}`");
            }
            "format" => {
                let format = value.as_str().expect("a word");
                let known = ["float", "double"].contains(&format);
                assert!(
                    known || format_range(format).is_some(),
                    "{at}: format `{format}`"
                );
            }
            "type" => {
                for name in types(schema).iter().filter(|name| **name != "null") {
                    let mapping = noun(name) == "a mapping";
                    assert_eq!(mapping, *name == "object", "{at}: type `{name}`");
                }
                assert_ne!(types(schema)[0], "null", "{at}: the type comes first");
            }
            "$ref" => {
                let target = value.as_str().and_then(definition);
                assert!(target.is_some(), "{at}: reference {value}");
            }
            _ => {}
        }
    }
    if schema.get("properties").is_some() {
        assert_eq!(
            schema["additionalProperties"],
            Json::Bool(false),
            "{at} is open"
        );
    }
}

#[test]
fn every_keyword_of_the_schema_is_understood() {
    check_known(schema(), "");
}
