//! Bytes from anywhere: never a panic, never memory for what is refused.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use cuttlefish_core::protocol::Envelope;
use cuttlefish_core::protocol::codec::{self, Error, Limits, MAGIC};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::messages::envelope;
use super::{LIMITS, encoded, golden};

/// Limits that refuse nothing: only the bytes that are there bound what may be claimed.
const UNLIMITED: Limits = Limits {
    max_layers: u32::MAX,
    max_neurons: u32::MAX,
    max_rows: u32::MAX,
    max_positions: u32::MAX,
    max_features: u32::MAX,
};

/// Bytes that a decoded message may take beside its values: reference counts and the like.
const OVERHEAD: usize = 256;

thread_local! {
    static TAKEN: Cell<usize> = const { Cell::new(0) };
}

/// Counts the bytes that a thread takes.
struct CountingAllocator;

// SAFETY: every call is the system allocator's, with the caller's arguments.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        TAKEN.set(TAKEN.get().saturating_add(layout.size()));
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Decodes, and holds the codec to what it promises about any bytes.
fn check(bytes: &[u8], limits: &Limits) -> Result<Envelope, Error> {
    TAKEN.set(0);
    let result = codec::decode(bytes, limits);
    let allocated = TAKEN.get();
    match &result {
        Err(error) => assert_eq!(allocated, 0, "memory was taken before: {error}"),
        Ok(envelope) => {
            // No fixed fields are as long: there is a payload, and the counting is seen to work.
            assert!(allocated > 0 || bytes.len() < 100);
            // Panels are padded to 16 rows, and bytes to 16 x 16, so one value may take the room of
            // many; the fixed fields make up for that of few bytes.
            assert!(
                allocated <= 16 * bytes.len() + OVERHEAD,
                "{allocated} bytes taken"
            );
            assert_eq!(encoded(envelope), bytes, "one encoding for each message");
        }
    }
    result
}

fn with(mut bytes: Vec<u8>, at: usize, new: &[u8]) -> Vec<u8> {
    bytes[at..at + new.len()].copy_from_slice(new);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_bytes_are_refused(bytes in vec(any::<u8>(), 0..300)) {
        prop_assert!(check(&bytes, &LIMITS).is_err());
    }

    #[test]
    fn random_fields_behind_a_valid_start_do_no_harm(
        kind in 0..12_u8,
        bytes in vec(prop_oneof![3 => Just(0), 1 => 0..4_u8, 1 => any::<u8>()], 8..200),
    ) {
        let mut message = MAGIC.to_vec();
        message.extend([codec::VERSION, kind, 0, 0]);
        message.extend(bytes);
        let _ = check(&message, &LIMITS);
        let _ = check(&message, &UNLIMITED);
    }

    #[test]
    fn every_strict_prefix_is_refused(envelope in envelope(), end in any::<Index>()) {
        let bytes = encoded(&envelope);
        prop_assert!(check(&bytes[..end.index(bytes.len())], &LIMITS).is_err());
    }

    #[test]
    fn bytes_behind_the_end_are_refused(envelope in envelope(), more in vec(any::<u8>(), 1..80)) {
        let bytes = [encoded(&envelope), more].concat();
        prop_assert!(check(&bytes, &LIMITS).is_err());
    }

    #[test]
    fn flipped_bits_do_no_harm(
        envelope in envelope(),
        flips in vec((any::<Index>(), 0..8_u32), 1..4),
    ) {
        let mut bytes = encoded(&envelope);
        // Half of them in the fixed fields, where they matter.
        for (i, (at, bit)) in flips.iter().enumerate() {
            let end = if i % 2 == 0 { bytes.len().min(72) } else { bytes.len() };
            bytes[at.index(end)] ^= 1 << bit;
        }
        let _ = check(&bytes, &LIMITS);
        let _ = check(&bytes, &UNLIMITED);
    }

    #[test]
    fn lying_numbers_do_no_harm(
        envelope in envelope(),
        at in any::<Index>(),
        lie in prop_oneof![Just(u32::MAX), Just(0), 0..100_u32, any::<u32>()],
    ) {
        let bytes = encoded(&envelope);
        let at = 4 * at.index(bytes.len().min(72) / 4);
        let bytes = with(bytes, at, &lie.to_le_bytes());
        let _ = check(&bytes, &LIMITS);
        let _ = check(&bytes, &UNLIMITED);
    }
}

#[test]
fn every_prefix_and_every_single_byte_of_the_golden_messages() {
    for bytes in golden::bytes() {
        for end in 0..bytes.len() {
            assert!(check(&bytes[..end], &LIMITS).is_err());
        }
        for at in 0..bytes.len() {
            for byte in 0..=u8::MAX {
                let changed = with(bytes.clone(), at, &[byte]);
                let _ = check(&changed, &LIMITS);
                let _ = check(&changed, &UNLIMITED);
            }
        }
    }
}

#[test]
fn four_billion_neurons_take_no_memory() {
    // Offsets of the shapes in the kinds with a payload, from `Forward` with values on.
    let shapes = [
        (6, 64, 2),
        (7, 64, 2),
        (8, 64, 2),
        (9, 72, 2),
        (10, 72, 3),
        (11, 68, 2),
    ];
    for (message, at, sizes) in shapes {
        let mut bytes = golden::bytes()[message].clone();
        for size in 0..sizes {
            bytes = with(bytes, at + 4 * size, &u32::MAX.to_le_bytes());
            check(&bytes, &UNLIMITED).expect_err("a lie");
            check(&bytes, &LIMITS).expect_err("a lie");
        }
    }
    let backward = with(golden::bytes()[9].clone(), 68, &[0; 4]);
    let claim = [u32::MAX.to_le_bytes(), u32::MAX.to_le_bytes()].concat();
    let error = check(&with(backward, 72, &claim), &UNLIMITED).expect_err("a lie");
    let (expected, found) = (u64::MAX, 96);
    assert_eq!(error, Error::Length { expected, found });
}

#[test]
fn every_lie_has_its_error() {
    const REWIND: usize = 0;
    const HELLO: usize = 1;
    const READY: usize = 2;
    const UNABLE: usize = 3;
    const COMMITTED: usize = 4;
    const BY_REFERENCE: usize = 5;
    const FORWARD: usize = 6;
    const FORWARD_BYTES: usize = 7;
    const ACTIVATION: usize = 8;
    const BACKWARD: usize = 9;
    const CONTRIBUTION: usize = 10;
    const PROPAGATED: usize = 11;
    const DIVERGED: usize = 12;
    let inf = f32::INFINITY.to_le_bytes();
    let nan = f32::NAN.to_le_bytes();
    let long = 4097_u32.to_le_bytes();
    let lies: [(usize, usize, &[u8], &str); 41] = [
        (
            REWIND,
            0,
            b"X",
            "not a message: expected magic [43, 54, 4c, 46], found [58, 54, 4c, 46]",
        ),
        (
            REWIND,
            4,
            &[1],
            "unknown message version: expected 2, found 1 (use one release for all)",
        ),
        (
            REWIND,
            5,
            &[0],
            "unknown message kind: expected 1 to 11, found 0",
        ),
        (
            REWIND,
            5,
            &[12],
            "unknown message kind: expected 1 to 11, found 12",
        ),
        (
            REWIND,
            5,
            &[2],
            "unknown `address`: expected 0 to 3, found 6",
        ),
        (
            REWIND,
            6,
            &[0, 1],
            "unknown message flags: expected 0, found 0x0100",
        ),
        (
            REWIND,
            15,
            &[128],
            "`generation`: expected at most 9223372036854775807, found 9223372036854775817",
        ),
        (
            REWIND,
            23,
            &[128],
            "`commit number`: expected at most 9223372036854775807, found 9223372036854775814",
        ),
        (
            REWIND,
            31,
            &[128],
            "`tick`: expected at most 9223372036854775807, found 9223372036854777608",
        ),
        (
            HELLO,
            5,
            &[5],
            "message ends within its header: expected at least 36 bytes, found 28",
        ),
        (
            HELLO,
            17,
            &[1],
            "`reserved` is not used here: expected 0, found 1",
        ),
        (
            HELLO,
            20,
            &[1],
            "`layer` is not used here: expected 0, found 1",
        ),
        (READY, 20, &[4], "`layer`: expected at most 3, found 4"),
        (
            READY,
            24,
            &[4],
            "`index` is not used here: expected 0, found 4",
        ),
        (
            COMMITTED,
            24,
            &[40],
            "`index`: expected at most 39, found 40",
        ),
        (
            DIVERGED,
            28,
            &[40],
            "`neuron`: expected at most 39, found 40",
        ),
        (
            UNABLE,
            28,
            &[4],
            "message has the wrong length: expected 36 bytes, found 37",
        ),
        (
            UNABLE,
            28,
            &long,
            "problem is too long: expected at most 4096 bytes, found 4097",
        ),
        (UNABLE, 36, b"x", "problem is not text: expected UTF-8"),
        (
            BY_REFERENCE,
            40,
            &[1],
            "`learning rate` is not used here: expected 0, found 1",
        ),
        (
            BY_REFERENCE,
            24,
            &[1],
            "`mark` is not used here: expected 0, found 1",
        ),
        (
            BY_REFERENCE,
            56,
            &[3],
            "unknown `part`: expected 0 to 2, found 3",
        ),
        (
            BY_REFERENCE,
            52,
            &[37],
            "`rows`: expected at most 36, found 37",
        ),
        (
            FORWARD,
            40,
            &inf,
            "learning rate: expected a finite number, found inf",
        ),
        (FORWARD, 32, &[0, 0], "`step`: expected at least 1, found 0"),
        (
            FORWARD,
            57,
            &[2],
            "unknown `work`: expected 0 to 1, found 2",
        ),
        (
            FORWARD,
            60,
            &[2],
            "message has the wrong length: expected 82 bytes, found 96",
        ),
        (
            FORWARD,
            60,
            &[3],
            "unknown `encoding`: expected 0 to 2, found 3",
        ),
        (
            FORWARD_BYTES,
            60,
            &[1],
            "message has the wrong length: expected 96 bytes, found 82",
        ),
        (
            FORWARD_BYTES,
            60,
            &[0],
            "`features` is not used here: expected 0, found 3",
        ),
        (
            FORWARD_BYTES,
            64,
            &[4],
            "message has the wrong length: expected 84 bytes, found 82",
        ),
        (
            FORWARD_BYTES,
            68,
            &[1],
            "values of another batch: expected 2 rows, found 1",
        ),
        (
            FORWARD_BYTES,
            72,
            &[0; 4],
            "scale: expected a finite number other than 0, found 0",
        ),
        (
            FORWARD_BYTES,
            72,
            &nan,
            "scale: expected a finite number other than 0, found NaN",
        ),
        (
            FORWARD_BYTES,
            72,
            &inf,
            "scale: expected a finite number other than 0, found inf",
        ),
        (
            FORWARD,
            64,
            &[51],
            "`features`: expected at most 50, found 51",
        ),
        (
            ACTIVATION,
            68,
            &[1],
            "values of another batch: expected 2 rows, found 1",
        ),
        (
            BACKWARD,
            24,
            &[3],
            "`next`: expected the header of tick 258, found that of 259",
        ),
        (
            PROPAGATED,
            52,
            &[1],
            "`next`: expected the header of tick 259, found that of 0",
        ),
        (
            BACKWARD,
            68,
            &[39],
            "`first`: expected at most 38, found 39",
        ),
        (
            CONTRIBUTION,
            80,
            &[0],
            "`fan_in`: expected at least 1, found 0",
        ),
    ];
    for (message, at, new, expected) in lies {
        let bytes = with(golden::bytes()[message].clone(), at, new);
        let error = check(&bytes, &LIMITS).expect_err("a lie");
        assert_eq!(error.to_string(), expected, "message {message}, byte {at}");
    }
}
