//! Errors of bytes that are not a message.

use std::str::Utf8Error;

/// Problem with the bytes of a message. Trying again does not help.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// The bytes end within the fixed fields.
    #[error("message ends within its header: expected at least {expected} bytes, found {found}")]
    Truncated {
        /// The end of the field that is cut.
        expected: usize,
        /// Bytes that are there.
        found: usize,
    },
    /// The bytes are too few or too many for what the header says.
    #[error("message has the wrong length: expected {expected} bytes, found {found}")]
    Length {
        /// Bytes by the header; `u64::MAX` stands for anything above.
        expected: u64,
        /// Bytes that are there.
        found: usize,
    },
    /// The first bytes are others.
    #[error("not a message: expected magic {expected:02x?}, found {found:02x?}")]
    Magic {
        /// [`MAGIC`](super::MAGIC)
        expected: [u8; 4],
        /// The first bytes.
        found: [u8; 4],
    },
    /// Another version of the format.
    #[error(
        "unknown message version: expected {expected}, found {found} (use one release for all)"
    )]
    Version {
        /// [`VERSION`](super::VERSION)
        expected: u8,
        /// Version in the message.
        found: u8,
    },
    /// No message is known by this number.
    #[error("unknown message kind: expected 1 to {max}, found {found}")]
    Kind {
        /// The highest one.
        max: u8,
        /// Kind in the message.
        found: u8,
    },
    /// Flags that this version does not define.
    #[error("unknown message flags: expected 0, found {found:#06x}")]
    Flags {
        /// Flags in the message.
        found: u16,
    },
    /// A tag that stands for nothing.
    #[error("unknown `{field}`: expected 0 to {max}, found {found}")]
    Tag {
        /// Name of the field.
        field: &'static str,
        /// The highest one.
        max: u8,
        /// Tag in the message.
        found: u8,
    },
    /// A field that this message does not use says something.
    #[error("`{field}` is not used here: expected 0, found {found}")]
    Unused {
        /// Name of the field.
        field: &'static str,
        /// Value in the message, as bits.
        found: u64,
    },
    /// A count or number that starts at 1 is 0.
    #[error("`{field}`: expected at least 1, found 0")]
    Zero {
        /// Name of the field.
        field: &'static str,
    },
    /// A count or number is above its limit.
    #[error("`{field}`: expected at most {limit}, found {found}")]
    TooLarge {
        /// Name of the field.
        field: &'static str,
        /// The highest allowed.
        limit: u64,
        /// Value in the message.
        found: u64,
    },
    /// The header of the next tick is that of another one.
    #[error("`next`: expected the header of tick {expected}, found that of {found}")]
    Next {
        /// The tick after the message's.
        expected: u64,
        /// Tick in the message.
        found: u64,
    },
    /// The values have another number of rows than the batch.
    #[error("values of another batch: expected {expected} rows, found {found}")]
    Rows {
        /// Rows by the tick header.
        expected: u32,
        /// Rows by the shape.
        found: u32,
    },
    /// A learning rate that is NaN or infinite.
    #[error("learning rate: expected a finite number, found {found}")]
    LearningRate {
        /// Learning rate in the message.
        found: f32,
    },
    /// A scale of bytes that is 0, NaN or infinite.
    #[error("scale: expected a finite number other than 0, found {found}")]
    Scale {
        /// Scale in the message.
        found: f32,
    },
    /// A text that is too long.
    #[error("problem is too long: expected at most {limit} bytes, found {found}")]
    TextLength {
        /// [`MAX_PROBLEM_LEN`](super::MAX_PROBLEM_LEN)
        limit: usize,
        /// Length in the message, in bytes.
        found: u32,
    },
    /// A text that is not UTF-8.
    #[error("problem is not text: expected UTF-8")]
    Text(#[source] Utf8Error),
}
