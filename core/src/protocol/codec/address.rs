//! Addresses on the wire: a number for the kind, a layer and an index. What a kind does not have is 0.

use super::check::{below, unused};
use super::{Error, Limits};
use crate::ids::Address;

const TRAINER: u8 = 0;
const SYNAPSE: u8 = 1;
const UNIT: u8 = 2;
const LAYER: u8 = 3;

/// Kind, layer and index of an address.
pub fn parts(address: Address) -> (u8, usize, usize) {
    match address {
        Address::Trainer => (TRAINER, 0, 0),
        Address::Synapse(layer) => (SYNAPSE, layer, 0),
        Address::Unit { layer, index } => (UNIT, layer, index),
        Address::Layer(layer) => (LAYER, layer, 0),
    }
}

/// Address of a kind, a layer and an index.
///
/// # Errors
/// When a run within these limits has no such address.
pub fn address(kind: u8, layer: u32, index: u32, limits: &Limits) -> Result<Address, Error> {
    if kind > LAYER {
        return Err(Error::Tag {
            field: "address",
            max: LAYER,
            found: kind,
        });
    }
    if kind == TRAINER {
        unused("layer", u64::from(layer))?;
    } else {
        below("layer", layer, limits.max_layers)?;
    }
    if kind == UNIT {
        below("index", index, limits.max_neurons)?;
    } else {
        unused("index", u64::from(index))?;
    }
    let (layer, index) = (layer as usize, index as usize);
    Ok(match kind {
        TRAINER => Address::Trainer,
        SYNAPSE => Address::Synapse(layer),
        UNIT => Address::Unit { layer, index },
        _ => Address::Layer(layer),
    })
}
