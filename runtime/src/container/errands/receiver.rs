//! Receives a data set from stdin, beside the actor that waits for it: for containers that have a place for
//! one which nobody could mount.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::config::{ContainerConfig, DataPlace};
use crate::data::prepared;

/// Puts what stdin has to where the actor of this container looks for its data set.
///
/// # Errors
/// When it looks for none, or that is none, or cannot be written.
pub fn run(config: &ContainerConfig) -> anyhow::Result<()> {
    let Some(DataPlace::File(path)) = &config.data else {
        bail!("this container reads no data set (give it to the trainer's)");
    };
    receive(&mut io::stdin().lock(), path)
}

fn receive(from: &mut impl io::Read, path: &Path) -> anyhow::Result<()> {
    let temporary = path.with_extension("part");
    let mut write = || {
        let mut file = File::create(&temporary)?;
        io::copy(from, &mut file)?;
        file.sync_all()
    };
    write().with_context(|| format!("failed to write `{}`", temporary.display()))?;
    // A half data set, or something else, must not take the place of what may be there.
    if let Err(error) = prepared::map(&temporary) {
        let _ = fs::remove_file(&temporary);
        bail!("failed to {error} (give the file that was rendered beside the manifests)");
    }
    fs::rename(&temporary, path).with_context(|| format!("failed to write `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use cuttlefish_core::data::{Dataset, Split, Task, Values};

    use super::*;
    use crate::record::data_sha256;

    fn dataset() -> Dataset {
        Dataset {
            name: "table".to_owned(),
            features: 2,
            image: None,
            feature_names: vec!["a".to_owned(), "b".to_owned()],
            values: Values::Floats(vec![0.5; 6].into()),
            task: Task::Regression {
                target_name: "y".to_owned(),
                targets: vec![0.5, -1.0, 2.0],
            },
            split: Split {
                train: vec![0],
                validation: vec![1],
                test: vec![2],
            },
        }
    }

    #[test]
    fn only_a_whole_data_set_takes_the_place_of_one() {
        let home = tempfile::tempdir().unwrap();
        let (source, place) = (home.path().join("given"), home.path().join("rows.ctlf"));
        let dataset = dataset();
        let sha256 = data_sha256(&dataset);
        prepared::write(&dataset, &sha256, &source).unwrap();
        let bytes = fs::read(&source).unwrap();
        receive(&mut &bytes[..], &place).unwrap();
        assert_eq!(prepared::map(&place).unwrap().sha256, sha256);
        for broken in [&bytes[..bytes.len() - 1], b"", b"pixels"] {
            let error = receive(&mut &broken[..], &place).unwrap_err();
            assert!(error.to_string().contains("rendered"), "{error:#}");
            assert_eq!(fs::read(&place).unwrap(), bytes, "what was there");
        }
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 2);
    }
}
