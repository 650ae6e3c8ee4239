//! Topologies, read from a file or built by a program, with overrides.

use std::path::{Path, PathBuf};

use cuttlefish_core::topology::{self, Document, Grouping, Problems, Topology, yaml};

use super::Error;
use crate::data::file::read_file_up_to;

/// Differences from a topology file, or from a run's record.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Values by their paths, `training.epochs=3`.
    pub values: Vec<String>,
    /// Neurons of a unit; None for the target's usual grouping, or the run's present one.
    pub neurons_per_unit: Option<u32>,
}

impl Overrides {
    /// The grouping; `usual` unless it is overridden.
    pub fn grouping(&self, usual: Grouping) -> Grouping {
        self.neurons_per_unit
            .map_or(usual, |n| Grouping::Units(n as usize))
    }
}

/// Origin of a topology.
#[derive(Clone, Copy, Debug)]
pub enum TopologySource<'a> {
    /// A file.
    File(&'a Path),
    /// A text that is to be the file of this path.
    Text(&'a Path, &'a str),
    /// A program.
    Program(&'a Topology),
}

/// A topology that has been read.
#[derive(Debug)]
pub struct TopologyFile {
    /// The file, or the name of a topology that a program has built.
    path: PathBuf,
    text: String,
    /// The topology with every override and default in it.
    pub document: Document,
}

impl TopologyFile {
    /// Reads a topology.
    ///
    /// # Errors
    /// Lists every problem, of a file with its line.
    pub fn read(source: TopologySource<'_>, overrides: &Overrides) -> Result<Self, Error> {
        match source {
            TopologySource::File(path) => Self::read_file(path, overrides),
            TopologySource::Text(path, text) => Self::parse(path, text.to_owned(), overrides),
            TopologySource::Program(topology) => Self::of_program(topology, overrides),
        }
    }

    fn of_program(topology: &Topology, overrides: &Overrides) -> Result<Self, Error> {
        // Paths in it are relative to the program's directory.
        Self::parse(Path::new(topology.name()), topology.text(), overrides)
    }

    fn parse(path: &Path, text: String, overrides: &Overrides) -> Result<Self, Error> {
        match topology::parse(&text, &overrides.values) {
            Ok(document) => Ok(Self {
                path: path.to_owned(),
                text,
                document,
            }),
            Err(problems) => Err(Error::Topology {
                path: path.to_owned(),
                text,
                problems,
            }),
        }
    }

    fn read_file(path: &Path, overrides: &Overrides) -> Result<Self, Error> {
        let bytes = read_file_up_to(path, yaml::MAX_BYTES as u64).map_err(Error::Unreadable)?;
        let text = String::from_utf8(bytes).map_err(|error| Error::NotUtf8 {
            path: path.to_owned(),
            at: error.utf8_error().valid_up_to(),
        })?;
        Self::parse(path, text, overrides)
    }

    /// The file, or the name of a topology that a program has built.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The directory that paths in the file are relative to.
    pub fn base_dir(&self) -> PathBuf {
        let parent = self
            .path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        std::path::absolute(parent).unwrap_or_else(|_| parent.to_owned())
    }

    /// Problems of the file that show only beside its data.
    pub fn error(&self, problems: Problems) -> Error {
        Error::Topology {
            path: self.path.clone(),
            text: self.text.clone(),
            problems,
        }
    }
}
