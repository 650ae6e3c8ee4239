//! NumPy's files, read: npz, a zip archive of arrays, and npy, one array.
//!
//! Nothing is allocated on a header's word alone. An array's header is compared with a limit and with the
//! size that the archive says it has, and room grows only as its bytes come, so that neither a damaged file
//! nor one that unpacks to more than it says takes memory. Tested in `data/tests/npz.rs`.

use std::io::{self, Cursor, Read};

use zip::ZipArchive;
use zip::result::ZipError;

use super::array::{Array, ByteOrder, ElementType, dims_words};

/// The largest number of values of an array.
pub const MAX_VALUES: usize = 1 << 28;
/// The largest number of dimensions.
pub const MAX_DIMENSIONS: usize = 8;
/// The largest number of arrays of a file.
pub const MAX_ARRAYS: usize = 10_000;
/// The longest description of an array.
const MAX_HEADER: usize = 64 << 10;

const MAGIC: &[u8] = b"\x93NUMPY";
/// Values are read in pieces of this size.
const CHUNK: usize = 64 << 10;

/// Problem of bytes that are no npz or npy file, or none that can be used.
#[derive(Debug, thiserror::Error)]
pub enum NpzProblem {
    /// Something else altogether.
    #[error("it is neither an npz nor an npy file of NumPy (write it with `numpy.savez`)")]
    Format,
    /// The archive is damaged.
    #[error("the archive is damaged: {0} (write it anew with `numpy.savez`)")]
    Archive(ZipError),
    /// More arrays than the limit.
    #[error("it has {0} arrays, the limit is {MAX_ARRAYS} (split the file)")]
    Arrays(usize),
    /// A member of the archive that is no array.
    #[error("`{0}` in it is no array (write it with `numpy.savez`)")]
    NoArray(String),
    /// One array, where several are needed.
    #[error(
        "it is an npy file, which has one array (write rows and right answers into one file with \
         `numpy.savez(\"data.npz\", x=x, y=y)`)"
    )]
    OneArray,
    /// No array of this name.
    #[error("it has no array `{name}`, only {} ({hint})", quoted(found))]
    Absent {
        /// The name.
        name: String,
        /// Names of its arrays.
        found: Vec<String>,
        /// Advice.
        hint: &'static str,
    },
    /// Arrays that test, beside a share of the others.
    #[error("it has the arrays `x_test` and `y_test`, which test (leave `test_split` out)")]
    TwoTests,
    /// An array that cannot be read.
    #[error("the array `{name}`: {problem}")]
    Array {
        /// Name of the array.
        name: String,
        /// The problem with it.
        problem: NpyProblem,
    },
}

/// Problem of an array.
#[derive(Debug, thiserror::Error)]
pub enum NpyProblem {
    /// It does not begin as an array does.
    #[error("it is not in npy format (write it with `numpy.save`)")]
    Magic,
    /// The description of the array cannot be understood.
    #[error("its header is damaged: {0} (write it anew with `numpy.save`)")]
    Header(&'static str),
    /// Text or objects, as of names of classes.
    #[error(
        "its type `{0}` is text or objects (number names of classes with `numpy.unique(y, return_inverse=True)[1]`, \
         and convert numbers with `.astype(\"float32\")`)"
    )]
    Text(String),
    /// Numbers that are no ordinary ones.
    #[error(
        "its type `{0}` is not read (convert it with `.astype(\"float32\")` or another type of numbers)"
    )]
    Type(String),
    /// More dimensions than the limit.
    #[error("it has {0} dimensions, the limit is {MAX_DIMENSIONS} (reshape it)")]
    Dimensions(usize),
    /// More values than the limit.
    #[error("it has the shape {dims}, the limit is {limit} values (use fewer rows)")]
    TooLarge {
        /// Its shape.
        dims: String,
        /// The largest number of values.
        limit: usize,
    },
    /// The archive and the array disagree on its size.
    #[error("its shape {dims} needs {expected} bytes, and it has {found} (write it anew)")]
    Size {
        /// Its shape.
        dims: String,
        /// Bytes that the shape needs.
        expected: u64,
        /// Bytes that there are.
        found: u64,
    },
    /// The bytes cannot be unpacked.
    #[error("its data is damaged: {0} (write it anew)")]
    Data(io::Error),
}

/// The arrays of a file, by name. An npy file has one, whose name is empty.
#[derive(Debug)]
pub struct Archive<'a> {
    body: ArchiveBody<'a>,
    names: Vec<String>,
}

#[derive(Debug)]
enum ArchiveBody<'a> {
    Npz(Box<ZipArchive<Cursor<&'a [u8]>>>),
    Npy(&'a [u8]),
}

/// True if bytes begin as an npz or npy file does.
pub fn is_numpy(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK") || bytes.starts_with(MAGIC)
}

impl<'a> Archive<'a> {
    /// Reads which arrays there are.
    pub fn open(bytes: &'a [u8]) -> Result<Self, NpzProblem> {
        if bytes.starts_with(MAGIC) {
            return Ok(Self {
                body: ArchiveBody::Npy(bytes),
                names: vec![String::new()],
            });
        }
        if !is_numpy(bytes) {
            return Err(NpzProblem::Format);
        }
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(NpzProblem::Archive)?;
        if zip.len() > MAX_ARRAYS {
            return Err(NpzProblem::Arrays(zip.len()));
        }
        let name = |file: &str| {
            let name = file.strip_suffix(".npy").map(str::to_owned);
            name.ok_or_else(|| NpzProblem::NoArray(file.to_owned()))
        };
        let names = zip.file_names().map(name).collect::<Result<_, _>>()?;
        Ok(Self {
            body: ArchiveBody::Npz(Box::new(zip)),
            names,
        })
    }

    /// Names of the arrays, in the order of the file.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// True for an npy file, whose array has no name.
    pub fn is_npy(&self) -> bool {
        matches!(self.body, ArchiveBody::Npy(_))
    }

    /// True if there is an array of this name.
    pub fn has(&self, name: &str) -> bool {
        self.names.iter().any(|of| of == name)
    }

    /// The array of this name, of at most `limit` values. `hint` is the advice where there is none.
    pub fn read(
        &mut self,
        name: &str,
        limit: usize,
        hint: &'static str,
    ) -> Result<Array, NpzProblem> {
        if !self.has(name) {
            return Err(NpzProblem::Absent {
                name: name.to_owned(),
                found: self.names.clone(),
                hint,
            });
        }
        let array = match &mut self.body {
            ArchiveBody::Npy(bytes) => read_npy(*bytes, bytes.len() as u64, limit),
            ArchiveBody::Npz(zip) => {
                let file = zip.by_name(&format!("{name}.npy"));
                let file = file.map_err(NpzProblem::Archive)?;
                let size = file.size();
                read_npy(file, size, limit)
            }
        };
        array.map_err(|problem| NpzProblem::Array {
            name: name.to_owned(),
            problem,
        })
    }
}

/// Reads an array from a file of `size` bytes.
fn read_npy(mut file: impl Read, size: u64, limit: usize) -> Result<Array, NpyProblem> {
    let header = NpyHeader::read(&mut file)?;
    let dims = || dims_words(&header.dims);
    let values = header
        .dims
        .iter()
        .try_fold(1_usize, |n, &d| n.checked_mul(d));
    let values = values.filter(|&values| values <= limit);
    let values = values.ok_or_else(|| NpyProblem::TooLarge {
        dims: dims(),
        limit,
    })?;
    let expected = (values * header.element.size()) as u64;
    let found = size.saturating_sub(header.bytes as u64);
    let wrong_size = |found| NpyProblem::Size {
        dims: dims(),
        expected,
        found,
    };
    if expected != found {
        return Err(wrong_size(found));
    }
    let mut numbers = header.element.no_numbers();
    let mut chunk = vec![0; CHUNK];
    let mut left = expected;
    while left > 0 {
        // A chunk is a multiple of every number's size.
        let piece = &mut chunk[..left.min(CHUNK as u64) as usize];
        file.read_exact(piece).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => wrong_size(expected - left),
            _ => NpyProblem::Data(error),
        })?;
        header.element.append(piece, header.order, &mut numbers);
        left -= piece.len() as u64;
    }
    // Reading to the end also compares the archive's checksum.
    match file.read(&mut chunk[..1]).map_err(NpyProblem::Data)? {
        0 => {}
        _ => return Err(wrong_size(expected + 1)),
    }
    if header.is_fortran {
        numbers = numbers.from_fortran(&header.dims);
    }
    Ok(Array {
        dims: header.dims,
        element: header.element,
        numbers,
    })
}

/// Description of an array.
struct NpyHeader {
    element: ElementType,
    order: ByteOrder,
    is_fortran: bool,
    dims: Vec<usize>,
    /// Bytes before the values.
    bytes: usize,
}

impl NpyHeader {
    fn read(file: &mut impl Read) -> Result<Self, NpyProblem> {
        let mut start = [0; 8];
        exactly(file, &mut start)?;
        if !start.starts_with(MAGIC) {
            return Err(NpyProblem::Magic);
        }
        let mut length = [0; 4];
        let width = if start[6] == 1 { 2 } else { 4 };
        exactly(file, &mut length[..width])?;
        let length = u32::from_le_bytes(length) as usize;
        if length > MAX_HEADER {
            return Err(NpyProblem::Header("it is too long"));
        }
        let mut text = vec![0; length];
        exactly(file, &mut text)?;
        let text = String::from_utf8(text).map_err(|_| NpyProblem::Header("it is no text"))?;
        let (element, order) = element_of(value_of(&text, "descr")?)?;
        let fortran = value_of(&text, "fortran_order")?;
        let dims = dims_of(value_of(&text, "shape")?)?;
        Ok(Self {
            element,
            order,
            is_fortran: fortran.starts_with("True"),
            dims,
            bytes: start.len() + width + length,
        })
    }
}

fn exactly(file: &mut impl Read, bytes: &mut [u8]) -> Result<(), NpyProblem> {
    file.read_exact(bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => NpyProblem::Header("the file ends inside of it"),
        _ => NpyProblem::Data(error),
    })
}

/// Text behind a key of the header, which is a dictionary as Python writes it.
fn value_of<'t>(header: &'t str, key: &'static str) -> Result<&'t str, NpyProblem> {
    let quoted = |mark: char| header.split_once(&format!("{mark}{key}{mark}"));
    let after = quoted('\'').or_else(|| quoted('"')).map(|(_, after)| after);
    let value = after.and_then(|after| after.trim_start().strip_prefix(':'));
    value
        .map(str::trim_start)
        .ok_or(NpyProblem::Header(match key {
            "descr" => "it has no `descr`",
            "shape" => "it has no `shape`",
            _ => "it has no `fortran_order`",
        }))
}

/// `'<f4'`: the order of bytes, the kind of number and its size.
fn element_of(value: &str) -> Result<(ElementType, ByteOrder), NpyProblem> {
    let refused = || NpyProblem::Type(value.chars().take(20).collect());
    let quote = value.chars().next().filter(|c| matches!(c, '\'' | '"'));
    let quote = quote.ok_or_else(refused)?;
    let (text, _) = value[1..].split_once(quote).ok_or_else(refused)?;
    let order = match text.chars().next() {
        Some('<' | '|' | '=') => ByteOrder::Little,
        Some('>') => ByteOrder::Big,
        _ => return Err(NpyProblem::Type(text.to_owned())),
    };
    if text[1..].starts_with(['U', 'S', 'O']) {
        return Err(NpyProblem::Text(text.to_owned()));
    }
    let element = match &text[1..] {
        "b1" => ElementType::Bool,
        "u1" => ElementType::U8,
        "i1" => ElementType::I8,
        "u2" => ElementType::U16,
        "i2" => ElementType::I16,
        "u4" => ElementType::U32,
        "i4" => ElementType::I32,
        "u8" => ElementType::U64,
        "i8" => ElementType::I64,
        "f2" => ElementType::F16,
        "f4" => ElementType::F32,
        "f8" => ElementType::F64,
        _ => return Err(NpyProblem::Type(text.to_owned())),
    };
    Ok((element, order))
}

/// `(3, 28, 28)`: numbers in parentheses.
fn dims_of(value: &str) -> Result<Vec<usize>, NpyProblem> {
    let refused = || NpyProblem::Header("its `shape` is no tuple of whole numbers");
    let inner = value
        .strip_prefix('(')
        .and_then(|rest| rest.split_once(')'));
    let (inner, _) = inner.ok_or_else(refused)?;
    let dims = inner
        .split(',')
        .map(str::trim)
        .filter(|dim| !dim.is_empty());
    let dims: Vec<usize> = dims
        .map(|dim| dim.parse().map_err(|_| refused()))
        .collect::<Result<_, _>>()?;
    match dims.len() {
        count if count > MAX_DIMENSIONS => Err(NpyProblem::Dimensions(count)),
        _ => Ok(dims),
    }
}

/// Names in backticks, the first ones of many.
fn quoted(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let mut quoted: Vec<String> = names
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{name}`"))
        .collect();
    if names.len() > SHOWN {
        quoted.push(format!("and {} more", names.len() - SHOWN));
    }
    match quoted.is_empty() {
        true => "none".to_owned(),
        false => quoted.join(", "),
    }
}
