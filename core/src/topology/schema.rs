//! The JSON Schema of the topology file, generated from the types in [`super::spec`].
//!
//! Editors read it from `topology/topology.schema.json`, `validate` checks files against
//! the same value, so that both say the same.

use std::sync::LazyLock;

use serde_json::Value as Json;

use super::spec::Spec;

/// The schema (JSON Schema, draft 2020-12).
pub fn schema() -> &'static Json {
    static SCHEMA: LazyLock<Json> = LazyLock::new(|| {
        let mut schema = schemars::schema_for!(Spec).to_value();
        tidy(&mut schema);
        schema
    });
    &SCHEMA
}

/// The text of `topology/topology.schema.json`.
pub fn schema_text() -> String {
    // As a `Schema` it is written in the usual order of keywords.
    let schema = schemars::Schema::try_from(schema().clone());
    let text = schema.and_then(|schema| serde_json::to_string_pretty(&schema));
    format!("{}\n", text.expect("a generated schema is plain JSON"))
}

/// Defaults of type `f32` are shown as people write them: 0.01 instead of 0.009999999776482582.
fn tidy(value: &mut Json) {
    match value {
        Json::Number(number) => {
            let shorter = number
                .as_f64()
                .filter(|wide| number.is_f64() && f64::from(*wide as f32) == *wide)
                .and_then(|wide| (wide as f32).to_string().parse().ok())
                .and_then(serde_json::Number::from_f64);
            if let Some(shorter) = shorter {
                *number = shorter;
            }
        }
        Json::Array(items) => items.iter_mut().for_each(tidy),
        Json::Object(members) => members.values_mut().for_each(tidy),
        _ => {}
    }
}
