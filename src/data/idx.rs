//! The IDX format of the MNIST files, gzipped or not.
//!
//! A file is two zero bytes, the type of its values, the number of dimensions, the dimensions as
//! big-endian 32-bit numbers, then the values, big-endian too, and nothing more. Nothing is allocated on a header's word
//! alone: its size is checked against a limit first, and a gzipped file is never unpacked further
//! than its header says. Tested in `data/tests/idx.rs`, with random and damaged files too.

use std::fmt;
use std::io::{self, BufRead, Read};

use flate2::bufread::MultiGzDecoder;

use super::array::{Array, ByteOrder, ElementType, dims_words};

/// The largest number of values that [`parse`] accepts: five times MNIST's training images.
pub const MAX_VALUES: usize = 256 << 20;

/// The largest number of dimensions: of images with channels.
pub const MAX_DIMENSIONS: u8 = 4;

/// Bytes of values are handed on in pieces of this size.
const CHUNK: usize = 64 << 10;

/// Header of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdxHeader {
    /// Type of the values.
    pub element: ElementType,
    /// `[labels]`, or `[images, height, width]`.
    pub dims: Vec<usize>,
}

/// Problem of bytes that are no IDX file, or none that can be used.
#[derive(Debug, thiserror::Error)]
pub enum IdxProblem {
    /// There are no bytes.
    #[error("the file is empty")]
    Empty,
    /// Something else altogether, a web page for example.
    #[error("not an IDX file: it starts with `{0:02x} {1:02x}` instead of two zero bytes")]
    Magic(u8, u8),
    /// IDX, with values of a type that there is not.
    #[error("the values are of the unknown type `{0:02x}`")]
    Type(u8),
    /// IDX, but neither labels nor images.
    #[error("{0} dimensions, from 1 (labels) to {MAX_DIMENSIONS} (images with channels) are read")]
    Dimensions(u8),
    /// The header declares more than the limit.
    #[error("the header declares {dims} values, the limit is {limit}")]
    TooLarge {
        /// The dimensions.
        dims: String,
        /// The largest number of values.
        limit: usize,
    },
    /// The file ends inside its header.
    #[error("the file ends inside its header")]
    TruncatedHeader,
    /// The file ends early.
    #[error("the file ends after {found} of {expected} values")]
    Truncated {
        /// Number of values that the header declares.
        expected: usize,
        /// Number of values that there are.
        found: usize,
    },
    /// The file goes on after its values.
    #[error("the file goes on after the {expected} values that its header declares")]
    TooLong {
        /// Number of values that the header declares.
        expected: usize,
    },
    /// The compressed data is damaged.
    #[error("the gzip data is damaged: {0}")]
    Gzip(String),
    /// The file could not be read.
    #[error("{0}")]
    Io(io::Error),
}

/// Parses the bytes of a file.
pub fn parse(bytes: &[u8]) -> Result<Array, IdxProblem> {
    let decoder = Decoder::new(bytes, MAX_VALUES)?;
    let IdxHeader { element, dims } = decoder.header().clone();
    let mut numbers = element.no_numbers();
    decoder.read(|chunk| element.append(chunk, ByteOrder::Big, &mut numbers))?;
    Ok(Array {
        dims,
        element,
        numbers,
    })
}

/// Reads a file in two steps, so that a caller can look at the header before it makes room.
#[derive(Debug)]
pub struct Decoder<R> {
    header: IdxHeader,
    body: IdxBody<R>,
}

#[derive(Debug)]
enum IdxBody<R> {
    Plain(R),
    Gzip(Box<MultiGzDecoder<R>>),
}

impl<R: BufRead> Decoder<R> {
    /// Reads the header, and refuses one that declares more than `limit` values.
    pub fn new(mut reader: R, limit: usize) -> Result<Self, IdxProblem> {
        // An IDX file starts with 0, a gzip file with 0x1f: the first byte decides.
        let mut body = match reader.fill_buf().map_err(IdxProblem::Io)?.first() {
            None => return Err(IdxProblem::Empty),
            Some(0x1f) => IdxBody::Gzip(Box::new(MultiGzDecoder::new(reader))),
            Some(_) => IdxBody::Plain(reader),
        };
        let header = IdxHeader::read(&mut body)?;
        let declared = header
            .dims
            .iter()
            .try_fold(1_usize, |n, &d| n.checked_mul(d));
        if declared.is_none_or(|declared| declared > limit) {
            let dims = header.to_string();
            return Err(IdxProblem::TooLarge { dims, limit });
        }
        Ok(Self { header, body })
    }

    /// The file's header.
    pub fn header(&self) -> &IdxHeader {
        &self.header
    }

    /// Reads the bytes of all values, whole values at a time, and checks that nothing comes after them.
    pub fn read(mut self, mut take: impl FnMut(&[u8])) -> Result<(), IdxProblem> {
        let size = self.header.element.size();
        let expected = self.header.values();
        let mut found = 0;
        let mut chunk = vec![0; CHUNK];
        while found < expected {
            let room = CHUNK.min((expected - found) * size);
            let mut filled = 0;
            while filled < room {
                match self.body.read_some(&mut chunk[filled..room])? {
                    0 => {
                        let found = found + filled / size;
                        return Err(IdxProblem::Truncated { expected, found });
                    }
                    n => filled += n,
                }
            }
            take(&chunk[..room]);
            found += room / size;
        }
        // Reading to the end also makes the decoder compare gzip's own checksum.
        match self.body.read_some(&mut chunk[..1])? {
            0 => Ok(()),
            _ => Err(IdxProblem::TooLong { expected }),
        }
    }
}

impl<R: BufRead> IdxBody<R> {
    /// Like `read`, with a file that ends inside the compressed data read as one that ends.
    fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, IdxProblem> {
        loop {
            let result = match self {
                Self::Plain(reader) => reader.read(buffer),
                Self::Gzip(reader) => reader.read(buffer),
            };
            match result {
                Ok(n) => return Ok(n),
                Err(error) => match (&self, error.kind()) {
                    (_, io::ErrorKind::Interrupted) => {}
                    (Self::Gzip(_), io::ErrorKind::UnexpectedEof) => {
                        return Err(IdxProblem::Gzip("it ends early".to_owned()));
                    }
                    (Self::Gzip(_), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => {
                        return Err(IdxProblem::Gzip(error.to_string()));
                    }
                    _ => return Err(IdxProblem::Io(error)),
                },
            }
        }
    }

    fn read_exact(&mut self, buffer: &mut [u8]) -> Result<(), IdxProblem> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_some(&mut buffer[filled..])? {
                0 => return Err(IdxProblem::TruncatedHeader),
                n => filled += n,
            }
        }
        Ok(())
    }
}

impl IdxHeader {
    fn read<R: BufRead>(body: &mut IdxBody<R>) -> Result<Self, IdxProblem> {
        let mut magic = [0; 4];
        body.read_exact(&mut magic[..2])?;
        if magic[..2] != [0, 0] {
            return Err(IdxProblem::Magic(magic[0], magic[1]));
        }
        body.read_exact(&mut magic[2..])?;
        let element = TYPES.iter().find(|(code, _)| *code == magic[2]);
        let &(_, element) = element.ok_or(IdxProblem::Type(magic[2]))?;
        if !(1..=MAX_DIMENSIONS).contains(&magic[3]) {
            return Err(IdxProblem::Dimensions(magic[3]));
        }
        let mut dims = Vec::with_capacity(usize::from(magic[3]));
        for _ in 0..magic[3] {
            let mut dim = [0; 4];
            body.read_exact(&mut dim)?;
            dims.push(u32::from_be_bytes(dim) as usize);
        }
        Ok(Self { element, dims })
    }

    /// Number of values that follow. Meaningful once a [`Decoder`] has accepted the header.
    pub fn values(&self) -> usize {
        self.dims.iter().product()
    }

    /// The bytes of the header, which belong to the content that a checksum covers.
    pub fn bytes(&self) -> Vec<u8> {
        let code = TYPES.iter().find(|(_, of)| *of == self.element);
        let code = code.map_or(0, |(code, _)| *code);
        let mut bytes = vec![0, 0, code, self.dims.len() as u8];
        for &dim in &self.dims {
            bytes.extend_from_slice(&(dim as u32).to_be_bytes());
        }
        bytes
    }
}

impl fmt::Display for IdxHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&dims_words(&self.dims))?;
        match self.element {
            ElementType::U8 => Ok(()),
            element => write!(f, " of {}", element.name()),
        }
    }
}

/// Codes of the types of values.
const TYPES: [(u8, ElementType); 6] = [
    (0x08, ElementType::U8),
    (0x09, ElementType::I8),
    (0x0b, ElementType::I16),
    (0x0c, ElementType::I32),
    (0x0d, ElementType::F32),
    (0x0e, ElementType::F64),
];
