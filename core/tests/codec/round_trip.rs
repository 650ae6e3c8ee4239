//! Every message comes back with its bits.

use std::sync::Arc;

use cuttlefish_core::ids::{Address, Generation, Tick};
use cuttlefish_core::protocol::codec::{self, MAX_PROBLEM_LEN, encoded_len};
use cuttlefish_core::protocol::{Envelope, Message};
use ndarray::Array2;
use proptest::prelude::*;

use super::messages::{envelope, facts};
use super::{decoded, encoded};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn every_message_comes_back_with_its_bits(envelope in envelope()) {
        let bytes = encoded(&envelope);
        let back = decoded(&bytes).expect("within the limits");
        prop_assert_eq!(facts(&back), facts(&envelope));
        prop_assert_eq!(encoded(&back), bytes);
    }

    #[test]
    fn the_length_is_known_before_and_the_buffer_grows_once(envelope in envelope()) {
        let mut buffer = Vec::with_capacity(encoded_len(&envelope));
        let (place, capacity) = (buffer.as_ptr(), buffer.capacity());
        codec::encode(&envelope, &mut buffer);
        prop_assert_eq!(buffer.len(), encoded_len(&envelope));
        prop_assert_eq!((buffer.as_ptr(), buffer.capacity()), (place, capacity));
    }

    #[test]
    fn what_the_buffer_held_stays(envelope in envelope(), before in any::<[u8; 5]>()) {
        let mut buffer = before.to_vec();
        codec::encode(&envelope, &mut buffer);
        prop_assert_eq!(&buffer[..5], &before);
        prop_assert_eq!(&buffer[5..], encoded(&envelope));
    }
}

#[test]
fn long_problem_is_cut_between_characters() {
    let envelope = Envelope {
        generation: Generation(1),
        message: Message::Unable {
            from: Address::Trainer,
            problem: format!("x{}", "é".repeat(MAX_PROBLEM_LEN)),
        },
    };
    let bytes = encoded(&envelope);
    assert_eq!(bytes.len(), encoded_len(&envelope));
    let Ok(Message::Unable { problem, .. }) = decoded(&bytes).map(|e| e.message) else {
        panic!("not the same kind");
    };
    assert_eq!(problem.len(), MAX_PROBLEM_LEN - 1);
    assert!(problem.ends_with('é'));
}

#[test]
fn message_that_makes_no_sense_is_refused_by_the_reader() {
    let matrix = |rows, columns| Arc::new(Array2::zeros((rows, columns)));
    let contribution = |deltas, weights| Message::Contribution {
        tick: Tick(1),
        next: None,
        first: 0,
        deltas,
        weights,
    };
    for message in [
        Message::Hello {
            from: Address::Synapse(usize::MAX),
        },
        Message::Backward {
            tick: Tick(1),
            next: None,
            first: usize::MAX,
            errors: matrix(1, 1),
        },
        Message::Propagated {
            tick: Tick(u64::MAX),
            next: None,
            errors: matrix(1, 1),
        },
        contribution(matrix(0, 1), matrix(0, 1)),
        contribution(matrix(2, 3), matrix(4, 1)),
    ] {
        let generation = Generation(1);
        let envelope = Envelope {
            generation,
            message,
        };
        let bytes = encoded(&envelope);
        assert_eq!(bytes.len(), encoded_len(&envelope));
        assert!(decoded(&bytes).is_err(), "{envelope:?}");
    }
}
