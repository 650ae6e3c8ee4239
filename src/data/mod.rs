//! Data sets: from a topology file's `data` to rows in memory.
//!
//! | module | responsibility |
//! |---|---|
//! | [`digits`] | the pictures that are part of the program |
//! | [`mnist`] | MNIST and Fashion-MNIST: finding, checking and fetching their four files |
//! | [`idx`] | the format of those files |
//! | [`fetch`] | one file over HTTPS, from the first mirror that answers with the right bytes |
//! | [`own`] | a person's own IDX files and NumPy arrays |
//! | [`npz`] | the formats of NumPy's files |
//! | [`array`] | arrays of numbers, as both formats hold them |
//! | [`examples`] | a data set of arrays of rows and right answers |
//! | [`images`] | a person's own directories of picture files |
//! | [`pictures`] | pictures to be answered by a trained network |
//! | [`prepared`] | a data set as one file that containers map into memory |
//! | [`csv`] | a person's own table, and more rows encoded in the same way |
//! | [`encoder`] | the encoding of a table's columns as features |
//!
//! The rows of a batch are not decided here, and nothing here reads the environment: the
//! caller names the directories.

pub mod array;
pub mod csv;
pub mod digits;
mod error;
pub mod examples;
pub mod fetch;
pub mod file;
pub mod idx;
pub mod images;
pub mod mnist;
pub mod npz;
pub mod own;
pub mod pictures;
#[cfg(test)]
mod tests;

use std::path::Path;

use cuttlefish_core::data::Dataset;
use cuttlefish_core::topology::spec::{Data, ImageSource, OwnSplit};

pub use cuttlefish_runtime::data::{Encoder, encoder, prepared};

pub use self::csv::EncodedTable;
pub use self::error::Error;
use self::fetch::Fetcher;

/// A data set, ready for training.
#[derive(Clone, Debug)]
pub struct LoadedData {
    /// The rows.
    pub dataset: Dataset,
    /// Encoder that made rows of the table into numbers; None for images, which need no fitting.
    pub encoder: Option<Encoder>,
}

/// Loads what `spec` names.
///
/// `base_dir` is the directory of the topology file, to which paths in it are relative;
/// `data_dir` is where the files of `mnist` and `fashion-mnist` are looked for and kept.
pub fn load(spec: &Data, base_dir: &Path, data_dir: &Path) -> Result<LoadedData, Error> {
    let fixed = |dataset| LoadedData {
        dataset,
        encoder: None,
    };
    let mnist = |files, source: &ImageSource| {
        check_share("validation_split", source.validation_split)?;
        mnist::load(files, data_dir, source, &Fetcher::new()).map(fixed)
    };
    let check = |split: &OwnSplit| {
        check_share("test_split", split.test_share())?;
        check_share("validation_split", split.validation_split)
    };
    match spec {
        Data::Idx(source) => {
            check(&source.split)?;
            own::load_idx(source, base_dir).map(fixed)
        }
        Data::Npz(source) => {
            check(&source.split)?;
            own::load_npz(source, base_dir).map(fixed)
        }
        Data::Images(source) => {
            check(&source.split)?;
            images::load(source, base_dir).map(fixed)
        }
        Data::Digits(source) => {
            check_share("validation_split", source.validation_split)?;
            digits::load(source).map(fixed)
        }
        Data::Mnist(source) => mnist(&mnist::MNIST, source),
        Data::FashionMnist(source) => mnist(&mnist::FASHION_MNIST, source),
        Data::Csv(table) => {
            check_share("test_split", table.test_split)?;
            check_share("validation_split", table.validation_split)?;
            let (dataset, encoder) = csv::load(&base_dir.join(&table.path), table)?;
            Ok(LoadedData {
                dataset,
                encoder: Some(encoder),
            })
        }
    }
}

/// The checks of the topology file say the same; here a share from elsewhere must not make
/// `Split` panic.
fn check_share(key: &'static str, share: f64) -> Result<(), Error> {
    if (0.0..=0.9).contains(&share) {
        Ok(())
    } else {
        Err(Error::Share { key, share })
    }
}
