//! The bytes of one message of every kind. A change here is another version of the format.

use std::sync::Arc;

use cuttlefish_core::data::{BatchRef, Part};
use cuttlefish_core::ids::{Address, CommitPoint, Generation, Tick};
use cuttlefish_core::math::{ByteMatrix, Inputs, Panels};
use cuttlefish_core::protocol::codec::fixed_len;
use cuttlefish_core::protocol::{Envelope, Message, TickHeader, Work};
use ndarray::{Array2, array};

use super::messages::facts;
use super::{decoded, encoded};

const TRAIN: TickHeader = TickHeader {
    tick: Tick(0x0102),
    work: Work::Train {
        step: 0x0304,
        learning_rate: 0.1,
    },
    batch: BatchRef {
        part: Part::Train,
        epoch: 3,
        index: 4,
        rows: 2,
    },
    mark: Some(5),
};

const EVALUATE: TickHeader = TickHeader {
    tick: Tick(0x0102),
    work: Work::Evaluate,
    batch: BatchRef {
        part: Part::Test,
        epoch: 3,
        index: 4,
        rows: 2,
    },
    mark: None,
};

const UNIT: Address = Address::Unit { layer: 2, index: 7 };

const COMMIT: CommitPoint = CommitPoint {
    number: 6,
    tick: Tick(0x0708),
};

/// A message of every kind in generation 9, the length of its fixed fields, and its bytes field by field.
pub fn messages() -> Vec<(Message, usize, &'static str)> {
    let shared = |matrix: Array2<f32>| Arc::new(matrix);
    let square = || shared(array![[1.0, -0.0], [f32::NAN, 2.5]]);
    let inputs = Inputs::new(Panels::pack(
        array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]].view(),
    ));
    let mut pixels = ByteMatrix::zeros(2, 3, 0.5);
    pixels.row_mut(0).copy_from_slice(&[1, 3, 5]);
    pixels.row_mut(1).copy_from_slice(&[2, 4, 255]);
    vec![
        (
            Message::Rewind(COMMIT),
            fixed_len::REWIND,
            "43544c46 02 01 0000 0900000000000000 0600000000000000 0807000000000000",
        ),
        (
            Message::Hello {
                from: Address::Trainer,
            },
            fixed_len::HELLO,
            "43544c46 02 02 0000 0900000000000000 00 000000 00000000 00000000",
        ),
        (
            Message::Ready {
                from: Address::Synapse(1),
            },
            fixed_len::READY,
            "43544c46 02 03 0000 0900000000000000 01 000000 01000000 00000000",
        ),
        (
            Message::Unable {
                from: Address::Layer(3),
                problem: "no é".to_owned(),
            },
            fixed_len::UNABLE,
            "43544c46 02 04 0000 0900000000000000 03 000000 03000000 00000000 05000000
             6e6f20c3a9",
        ),
        (
            Message::Committed {
                from: UNIT,
                commit: COMMIT,
            },
            fixed_len::COMMITTED,
            "43544c46 02 05 0000 0900000000000000 02 000000 02000000 07000000
             0600000000000000 0807000000000000",
        ),
        (
            Message::Forward {
                header: EVALUATE,
                inputs: None,
            },
            fixed_len::FORWARD,
            "43544c46 02 06 0000 0900000000000000
             0201000000000000 0000000000000000 0000000000000000 00000000
             03000000 04000000 02000000 02 00 00 00
             00 000000 00000000 00000000",
        ),
        (
            Message::Forward {
                header: TRAIN,
                inputs: Some(Arc::new(inputs)),
            },
            fixed_len::FORWARD,
            "43544c46 02 06 0000 0900000000000000
             0201000000000000 0500000000000000 0403000000000000 cdcccc3d
             03000000 04000000 02000000 00 01 01 00
             01 000000 03000000 02000000
             0000803f 00000040 00004040 00008040 0000a040 0000c040",
        ),
        (
            Message::Forward {
                header: TRAIN,
                inputs: Some(Arc::new(Inputs::from_bytes(pixels))),
            },
            fixed_len::FORWARD + fixed_len::SCALE,
            "43544c46 02 06 0000 0900000000000000
             0201000000000000 0500000000000000 0403000000000000 cdcccc3d
             03000000 04000000 02000000 00 01 01 00
             02 000000 03000000 02000000
             0000003f
             01 03 05 02 04 ff",
        ),
        (
            Message::Activation {
                header: TRAIN,
                first: 6,
                values: square(),
            },
            fixed_len::ACTIVATION,
            "43544c46 02 07 0000 0900000000000000
             0201000000000000 0500000000000000 0403000000000000 cdcccc3d
             03000000 04000000 02000000 00 01 01 00
             06000000 02000000 02000000
             0000803f 00000080 0000c07f 00002040",
        ),
        (
            Message::Backward {
                tick: Tick(0x0101),
                next: Some(TRAIN),
                first: 6,
                errors: square(),
            },
            fixed_len::BACKWARD,
            "43544c46 02 08 0000 0900000000000000 0101000000000000
             0201000000000000 0500000000000000 0403000000000000 cdcccc3d
             03000000 04000000 02000000 00 01 01 00
             06000000 02000000 02000000
             0000803f 00000080 0000c07f 00002040",
        ),
        (
            Message::Contribution {
                tick: Tick(0x0101),
                next: Some(EVALUATE),
                first: 6,
                deltas: square(),
                weights: shared(array![[3.0], [4.0]]),
            },
            fixed_len::CONTRIBUTION,
            "43544c46 02 09 0000 0900000000000000 0101000000000000
             0201000000000000 0000000000000000 0000000000000000 00000000
             03000000 04000000 02000000 02 00 00 00
             06000000 02000000 02000000 01000000
             0000803f 00000080 0000c07f 00002040
             00004040 00008040",
        ),
        (
            Message::Propagated {
                tick: Tick(0x0102),
                next: None,
                errors: shared(array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
            },
            fixed_len::PROPAGATED,
            "43544c46 02 0a 0000 0900000000000000 0201000000000000
             0000000000000000 0000000000000000 0000000000000000 00000000
             00000000 00000000 00000000 00 00 00 00
             03000000 02000000
             0000803f 00000040 00004040 00008040 0000a040 0000c040",
        ),
        (
            Message::Diverged {
                from: UNIT,
                neuron: 9,
                tick: Tick(0x0102),
            },
            fixed_len::DIVERGED,
            "43544c46 02 0b 0000 0900000000000000 02 000000 02000000 07000000 09000000
             0201000000000000",
        ),
    ]
}

/// The bytes of [`messages`].
pub fn bytes() -> Vec<Vec<u8>> {
    messages().iter().map(|(_, _, hex)| parse(hex)).collect()
}

fn parse(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|c| c.to_digit(16)).collect();
    digits
        .chunks(2)
        .map(|two| (two[0] << 4 | two[1]) as u8)
        .collect()
}

#[test]
fn every_kind_has_its_bytes() {
    for (message, fixed_len, hex) in messages() {
        let envelope = Envelope {
            generation: Generation(9),
            message,
        };
        let expected = parse(hex);
        assert_eq!(encoded(&envelope), expected, "{envelope:?}");
        let back = decoded(&expected).expect("valid");
        assert_eq!(facts(&back), facts(&envelope));
        let payload = match &envelope.message {
            Message::Unable { problem, .. } => problem.len(),
            Message::Forward { inputs, .. } => inputs.as_ref().map_or(0, |inputs| {
                let is_bytes = inputs.bytes().is_some();
                if is_bytes { 6 } else { 4 * 6 }
            }),
            Message::Activation { .. } | Message::Backward { .. } => 4 * 4,
            Message::Contribution { .. } | Message::Propagated { .. } => 4 * 6,
            _ => 0,
        };
        assert_eq!(expected.len(), fixed_len + payload, "{envelope:?}");
    }
}
