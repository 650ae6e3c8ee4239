//! Numbers in memory that somebody else may own.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A shared, read-only row of numbers: a vector, or what its owner maps into memory.
///
/// Clones share the numbers.
pub struct Storage<T>(Arc<dyn AsRef<[T]> + Send + Sync>);

impl<T> Storage<T> {
    /// The numbers of `owner`, which is dropped with the last clone. It must give the same
    /// numbers every time: a file behind it must not change while a run uses it.
    pub fn new(owner: impl AsRef<[T]> + Send + Sync + 'static) -> Self {
        Self(Arc::new(owner))
    }
}

impl<T> Deref for Storage<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        (*self.0).as_ref()
    }
}

impl<T: Send + Sync + 'static> From<Vec<T>> for Storage<T> {
    /// Gives back what the vector has room for and does not use.
    fn from(numbers: Vec<T>) -> Self {
        Self::new(numbers.into_boxed_slice())
    }
}

impl<T> Clone for Storage<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Count of the numbers: a data set has too many to read.
impl<T> fmt::Debug for Storage<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} numbers", self.len())
    }
}
