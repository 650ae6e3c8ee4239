//! Data sets as containers have them.
//!
//! | module | responsibility |
//! |---|---|
//! | [`prepared`] | a data set as one file that containers map into memory |
//! | [`encoder`] | how the columns of a table became features |

pub mod encoder;
pub mod prepared;

pub use encoder::Encoder;
