//! Prints the JSON Schema of topology files:
//! `cargo run -p cuttlefish-core --example schema > topology/topology.schema.json`.

fn main() {
    print!("{}", cuttlefish_core::topology::schema_text());
}
