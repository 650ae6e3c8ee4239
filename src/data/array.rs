//! Arrays of numbers as files hold them: their shape, the type of their numbers, and the numbers as this
//! program uses them.

use half::f16;
use ndarray::{ArrayD, IxDyn, ShapeBuilder};

/// Type of an array's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementType {
    /// `True` or `False`, a byte each.
    Bool,
    /// Bytes.
    U8,
    /// Signed bytes.
    I8,
    /// 16-bit whole numbers from 0.
    U16,
    /// 16-bit whole numbers.
    I16,
    /// 32-bit whole numbers from 0.
    U32,
    /// 32-bit whole numbers.
    I32,
    /// 64-bit whole numbers from 0.
    U64,
    /// 64-bit whole numbers.
    I64,
    /// 16-bit floating-point numbers.
    F16,
    /// 32-bit floating-point numbers.
    F32,
    /// 64-bit floating-point numbers.
    F64,
}

/// Order of the bytes of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    /// The lowest byte first.
    Little,
    /// The highest byte first.
    Big,
}

/// Numbers of an array, as this program uses them.
#[derive(Clone, Debug, PartialEq)]
pub enum Numbers {
    /// Bytes, as of images.
    Bytes(Vec<u8>),
    /// Whole numbers, as of classes. What does not fit is the largest.
    Integers(Vec<i64>),
    /// Numbers that are computed with; those of 64 bits are rounded.
    Floats(Vec<f32>),
}

/// An array.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Length of each dimension.
    pub dims: Vec<usize>,
    /// Type of its numbers in the file.
    pub element: ElementType,
    /// Its numbers, the last dimension fastest.
    pub numbers: Numbers,
}

impl ElementType {
    /// Name of the type in NumPy.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::U8 => "uint8",
            Self::I8 => "int8",
            Self::U16 => "uint16",
            Self::I16 => "int16",
            Self::U32 => "uint32",
            Self::I32 => "int32",
            Self::U64 => "uint64",
            Self::I64 => "int64",
            Self::F16 => "float16",
            Self::F32 => "float32",
            Self::F64 => "float64",
        }
    }

    /// Bytes of a number.
    pub fn size(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 | Self::F16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    /// No numbers yet, of the kind that this type becomes.
    pub fn no_numbers(self) -> Numbers {
        match self {
            Self::U8 => Numbers::Bytes(Vec::new()),
            Self::F16 | Self::F32 | Self::F64 => Numbers::Floats(Vec::new()),
            _ => Numbers::Integers(Vec::new()),
        }
    }

    /// Appends the numbers that these bytes are; `bytes` holds whole ones.
    pub fn append(self, bytes: &[u8], order: ByteOrder, numbers: &mut Numbers) {
        match (self, numbers) {
            (_, Numbers::Bytes(values)) => values.extend_from_slice(bytes),
            (Self::F16, Numbers::Floats(values)) => {
                values.extend(each(bytes, order).map(|bytes| f16::from_le_bytes(bytes).to_f32()));
            }
            (Self::F32, Numbers::Floats(values)) => {
                values.extend(each(bytes, order).map(f32::from_le_bytes));
            }
            (_, Numbers::Floats(values)) => {
                values.extend(each(bytes, order).map(|bytes| f64::from_le_bytes(bytes) as f32));
            }
            (element, Numbers::Integers(values)) => element.append_integers(bytes, order, values),
        }
    }

    fn append_integers(self, bytes: &[u8], order: ByteOrder, values: &mut Vec<i64>) {
        match self {
            Self::I8 => {
                values.extend(each(bytes, order).map(|bytes| i64::from(i8::from_le_bytes(bytes))));
            }
            Self::U16 => {
                values.extend(each(bytes, order).map(|bytes| i64::from(u16::from_le_bytes(bytes))));
            }
            Self::I16 => {
                values.extend(each(bytes, order).map(|bytes| i64::from(i16::from_le_bytes(bytes))));
            }
            Self::U32 => {
                values.extend(each(bytes, order).map(|bytes| i64::from(u32::from_le_bytes(bytes))));
            }
            Self::I32 => {
                values.extend(each(bytes, order).map(|bytes| i64::from(i32::from_le_bytes(bytes))));
            }
            Self::U64 => values.extend(each(bytes, order).map(|bytes| {
                let number = u64::from_le_bytes(bytes);
                i64::try_from(number).unwrap_or(i64::MAX)
            })),
            Self::I64 => values.extend(each(bytes, order).map(i64::from_le_bytes)),
            _ => values.extend(bytes.iter().map(|&byte| i64::from(byte))),
        }
    }
}

/// The bytes of each number, the lowest first.
fn each<const N: usize>(bytes: &[u8], order: ByteOrder) -> impl Iterator<Item = [u8; N]> + '_ {
    let (numbers, _) = bytes.as_chunks::<N>();
    numbers.iter().map(move |&number| {
        let mut number = number;
        if order == ByteOrder::Big {
            number.reverse();
        }
        number
    })
}

impl Numbers {
    /// Their number.
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(values) => values.len(),
            Self::Integers(values) => values.len(),
            Self::Floats(values) => values.len(),
        }
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The numbers of an array of this shape whose first dimension is fastest, with the last one fastest.
    pub fn from_fortran(self, dims: &[usize]) -> Self {
        match self {
            Self::Bytes(values) => Self::Bytes(from_fortran(values, dims)),
            Self::Integers(values) => Self::Integers(from_fortran(values, dims)),
            Self::Floats(values) => Self::Floats(from_fortran(values, dims)),
        }
    }
}

fn from_fortran<T: Clone>(values: Vec<T>, dims: &[usize]) -> Vec<T> {
    match ArrayD::from_shape_vec(IxDyn(dims).f(), values) {
        Ok(array) => array.iter().cloned().collect(),
        // Its length was that of the shape when it was read.
        Err(_) => Vec::new(),
    }
}

impl Array {
    /// Its shape in words: `3 x 28 x 28`.
    pub fn shape_words(&self) -> String {
        dims_words(&self.dims)
    }
}

/// Dimensions in words: `3 x 28 x 28`, and `()` as NumPy has it for a single number.
pub fn dims_words(dims: &[usize]) -> String {
    if dims.is_empty() {
        return "()".to_owned();
    }
    let dims: Vec<String> = dims.iter().map(usize::to_string).collect();
    dims.join(" x ")
}
