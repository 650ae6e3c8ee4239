//! A neuron's state as items of the table: pure rendering and parsing.
//!
//! ```text
//! pk = <run>#<layer>#<neuron>
//! sk = commit#<slot>                                               the head: one a slot
//! sk = commit#<slot>#<generation>#<number>#<sha256, 16 digits>#<part>   only of a large neuron
//! ```
//!
//! A head holds `generation`, `number`, `tick`, `shape` (how many values `weights` and `optimizer`
//! have), `sha256`, and either `weights` and `optimizer` themselves or `parts`, the number of
//! items that hold them one after the other as `data`.
//!
//! Parts are written first and unconditionally, the head last and on condition, so the head
//! decides. A part's key says whose it is: whatever a zombie or a late request writes, it cannot
//! touch a part that a head of another generation or commit names.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use cuttlefish_core::digest::hexadecimal;
use cuttlefish_core::ids::{CommitPoint, Generation, Tick};
use cuttlefish_core::protocol::NeuronState;
use sha2::{Digest, Sha256};

/// An item of the table.
pub(super) type Item = HashMap<String, AttributeValue>;

/// Bytes of values in one item. DynamoDB's limit is 409,600 for everything in it; names and the
/// other attributes take less than 1,000 (the key at most 300 of them).
pub(super) const MAX_VALUE_BYTES: usize = 390_000;

/// Neuron of a layer, by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Neuron {
    pub(super) layer: usize,
    pub(super) index: usize,
}

/// The items that hold one neuron's state.
pub(super) struct NeuronItems {
    pub(super) parts: Vec<Item>,
    pub(super) head: Item,
}

/// Head of a stored neuron, as it was read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ItemHead {
    pub(super) generation: Generation,
    pub(super) commit: CommitPoint,
    pub(super) sha256: String,
    weights: usize,
    optimizer: usize,
    body: ItemValues,
}

/// Values of a neuron, or the number of items that have them.
#[derive(Clone, Debug, PartialEq)]
enum ItemValues {
    Inline(Vec<u8>),
    Parts(usize),
}

/// The key of a run's own items, as opposed to its neurons'.
pub(super) fn run_pk(run: &str) -> String {
    format!("{run}#run")
}

/// Prefix of the keys of everything of a run, and of nothing else.
pub(super) fn run_prefix(run: &str) -> String {
    format!("{run}#")
}

pub(super) fn neuron_pk(run: &str, neuron: Neuron) -> String {
    format!("{run}#{}#{}", neuron.layer, neuron.index)
}

pub(super) fn head_sk(commit: CommitPoint) -> String {
    format!("commit#{}", commit.slot())
}

/// Prefix of the keys of a commit's parts. Numbers are padded so that keys sort by
/// (generation, number): everything between [`first_part_sk`] and this is older.
pub(super) fn parts_prefix(generation: Generation, commit: CommitPoint) -> String {
    format!(
        "{}#{:020}#{:020}",
        head_sk(commit),
        generation.0,
        commit.number
    )
}

/// Sorts before every part of the slot, and after its head.
pub(super) fn first_part_sk(commit: CommitPoint) -> String {
    format!("{}#", head_sk(commit))
}

fn part_sk(generation: Generation, commit: CommitPoint, sha256: &str, part: usize) -> String {
    let sha256 = sha256.get(..16).unwrap_or(sha256);
    format!("{}#{sha256}#{part:04}", parts_prefix(generation, commit))
}

pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(super) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(super) fn key(pk: impl Into<String>, sk: impl Into<String>) -> Item {
    HashMap::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk))])
}

/// Renders a neuron's state for a slot.
pub(super) fn render(
    run: &str,
    neuron: Neuron,
    generation: Generation,
    commit: CommitPoint,
    state: &NeuronState,
) -> NeuronItems {
    let weights = to_bytes(&state.weights);
    let optimizer = to_bytes(&state.moments);
    let sha256 = sha256(neuron, commit, state.weights.len(), &[&weights, &optimizer]);
    let pk = neuron_pk(run, neuron);

    let mut head = key(&pk, head_sk(commit));
    let mut set = |name: &str, value| head.insert(name.to_owned(), value);
    set("generation", number(generation));
    set("number", number(commit.number));
    set("tick", number(commit.tick));
    let shape = [state.weights.len(), state.moments.len()];
    set("shape", AttributeValue::L(shape.map(number).to_vec()));
    set("sha256", text(&sha256));
    if weights.len() + optimizer.len() <= MAX_VALUE_BYTES {
        set("weights", AttributeValue::B(Blob::new(weights)));
        set("optimizer", AttributeValue::B(Blob::new(optimizer)));
        return NeuronItems {
            parts: Vec::new(),
            head,
        };
    }

    let values = [weights, optimizer].concat();
    let parts: Vec<Item> = values
        .chunks(MAX_VALUE_BYTES)
        .enumerate()
        .map(|(part, data)| {
            let mut item = key(&pk, part_sk(generation, commit, &sha256, part));
            item.insert("data".to_owned(), AttributeValue::B(Blob::new(data)));
            item
        })
        .collect();
    set("parts", number(parts.len()));
    NeuronItems { parts, head }
}

/// Reads a head; the error says what is wrong with it.
pub(super) fn parse_head(mut item: Item) -> Result<ItemHead, String> {
    let generation = Generation(integer(&item, "generation")?);
    let commit = CommitPoint {
        number: integer(&item, "number")?,
        tick: Tick(integer(&item, "tick")?),
    };
    let (weights, optimizer) = shape(&item)?;
    let sha256 = match item.remove("sha256") {
        Some(AttributeValue::S(sha256)) => sha256,
        _ => return Err("it has no `sha256`".to_owned()),
    };
    let body = if item.contains_key("parts") {
        let parts = integer(&item, "parts")?;
        // Bounds what a damaged number can make the reader ask for.
        let expected = ((weights + optimizer) * size_of::<f32>()).div_ceil(MAX_VALUE_BYTES);
        if parts != expected as u64 {
            return Err(format!("`parts` is {parts}, its shape needs {expected}"));
        }
        ItemValues::Parts(expected)
    } else {
        let mut values = binary(&mut item, "weights")?;
        if values.len() != weights * size_of::<f32>() {
            return Err(format!(
                "`weights` has {} bytes, its shape needs {}",
                values.len(),
                weights * size_of::<f32>()
            ));
        }
        values.extend(binary(&mut item, "optimizer")?);
        ItemValues::Inline(values)
    };
    Ok(ItemHead {
        generation,
        commit,
        sha256,
        weights,
        optimizer,
        body,
    })
}

/// Reads the values of a part.
pub(super) fn parse_part(mut item: Item) -> Result<Vec<u8>, String> {
    binary(&mut item, "data")
}

/// The generation that an item carries.
pub(super) fn generation(item: &Item) -> Option<Generation> {
    integer(item, "generation").ok().map(Generation)
}

impl ItemHead {
    /// Sort keys of the parts, none when the head holds the values itself.
    pub(super) fn part_sks(&self) -> Vec<String> {
        let parts = match self.body {
            ItemValues::Inline(_) => 0,
            ItemValues::Parts(parts) => parts,
        };
        (0..parts)
            .map(|part| part_sk(self.generation, self.commit, &self.sha256, part))
            .collect()
    }

    /// The state, given the parts' values in order; the error says what is wrong.
    pub(super) fn assemble(self, neuron: Neuron, parts: &[Vec<u8>]) -> Result<NeuronState, String> {
        let values = match self.body {
            ItemValues::Inline(values) => values,
            ItemValues::Parts(_) => parts.concat(),
        };
        let expected = (self.weights + self.optimizer) * size_of::<f32>();
        if values.len() != expected {
            return Err(format!(
                "it has {} bytes of values, its shape needs {expected}",
                values.len()
            ));
        }
        let content_sha256 = sha256(neuron, self.commit, self.weights, &[&values]);
        if content_sha256 != self.sha256 {
            return Err(format!(
                "its content has SHA-256 {content_sha256}, it says {}",
                self.sha256
            ));
        }
        let (weights, moments) = values.split_at(self.weights * size_of::<f32>());
        Ok(NeuronState {
            weights: from_bytes(weights),
            moments: from_bytes(moments),
        })
    }
}

/// SHA-256 over layer, neuron, commit number, tick and the number of weights, each as a
/// little-endian u64, then all values. The generation is left out: it says who wrote, not what.
fn sha256(neuron: Neuron, commit: CommitPoint, weights: usize, values: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for field in [
        neuron.layer as u64,
        neuron.index as u64,
        commit.number,
        commit.tick.0,
        weights as u64,
    ] {
        hasher.update(field.to_le_bytes());
    }
    for bytes in values {
        hasher.update(bytes);
    }
    hexadecimal(&hasher.finalize())
}

fn to_bytes(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

fn from_bytes(bytes: &[u8]) -> Vec<f32> {
    let (values, _) = bytes.as_chunks::<4>();
    values
        .iter()
        .map(|&value| f32::from_le_bytes(value))
        .collect()
}

pub(super) fn integer(item: &Item, name: &str) -> Result<u64, String> {
    match item.get(name) {
        Some(AttributeValue::N(digits)) => digits
            .parse()
            .map_err(|_| format!("`{name}` is `{digits}`, which is not a count")),
        _ => Err(format!("it has no number `{name}`")),
    }
}

fn binary(item: &mut Item, name: &str) -> Result<Vec<u8>, String> {
    match item.remove(name) {
        Some(AttributeValue::B(blob)) => Ok(blob.into_inner()),
        _ => Err(format!("it has no binary `{name}`")),
    }
}

fn shape(item: &Item) -> Result<(usize, usize), String> {
    // No neuron comes near this; larger ones could overflow the arithmetic on them.
    const MAX: usize = 1 << 40;
    let count = |value: &AttributeValue| match value {
        AttributeValue::N(digits) => digits.parse().ok().filter(|&count| count <= MAX),
        _ => None,
    };
    match item.get("shape") {
        Some(AttributeValue::L(list)) => match list.as_slice() {
            [weights, optimizer] => count(weights).zip(count(optimizer)),
            _ => None,
        },
        _ => None,
    }
    .ok_or_else(|| "it has no `shape` of two counts".to_owned())
}

#[cfg(test)]
mod tests;
