//! Data sets that people brought: a directory each below the data directory, with the files as they came.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use actix_web::http::StatusCode;
use actix_web::web::{self, Payload};
use cuttlefish_core::digest::hexadecimal;
use futures_util::StreamExt;
use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::problem::Problem;
use crate::config::Config;

const FOLDER: &str = "uploads";
/// Files of a data set.
const MAX_FILES: usize = 64;
/// End of the name of a file that is still coming.
const PART: &str = ".part";

/// A data set.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct UploadedData {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: DataKind,
    /// Bytes of all its files.
    pub bytes: u64,
    /// Its files, by name.
    pub files: Vec<UploadedFile>,
    /// Keys of the `data` section of a topology file that reads it, as far as the files say them.
    pub data: String,
}

/// The kind of a data set, by the names of its files.
#[derive(Clone, Copy, Debug, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DataKind {
    /// Part of the program, or fetched by it.
    BuiltIn,
    /// A table.
    Csv,
    /// IDX files.
    Idx,
    /// Arrays of NumPy.
    Npz,
    /// None of these.
    Unknown,
}

/// A file of a data set.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct UploadedFile {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of its content, in hexadecimal; None of files that were put there by somebody else.
    pub sha256: Option<String>,
}

/// The data sets of a data directory.
pub struct Uploads {
    root: PathBuf,
}

impl Uploads {
    /// Those of a configuration.
    pub fn new(config: &Config) -> Self {
        let root = config.data_dir.join(FOLDER);
        Self {
            root: std::path::absolute(&root).unwrap_or(root),
        }
    }

    /// All data sets, by name.
    pub fn list(&self) -> Vec<UploadedData> {
        let entries = fs::read_dir(&self.root).into_iter().flatten();
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| check_name(name).is_ok())
            .collect();
        names.sort();
        names
            .iter()
            .filter_map(|name| self.find(name).ok())
            .collect()
    }

    /// A data set.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn find(&self, name: &str) -> Result<UploadedData, Problem> {
        check_name(name)?;
        let folder = self.root.join(name);
        let entries = fs::read_dir(&folder).map_err(|_| unknown(name))?;
        let mut files: Vec<UploadedFile> = entries
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let name = entry.file_name().into_string().ok()?;
                let metadata = entry.metadata().ok()?;
                let is_file = metadata.is_file() && !name.ends_with(PART) && !name.starts_with('.');
                is_file.then(|| UploadedFile {
                    sha256: fs::read_to_string(folder.join(format!(".{name}.sha256"))).ok(),
                    name,
                    bytes: metadata.len(),
                })
            })
            .collect();
        if files.is_empty() {
            return Err(unknown(name));
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        let kind = kind(&files);
        Ok(UploadedData {
            name: name.to_owned(),
            kind,
            bytes: files.iter().map(|file| file.bytes).sum(),
            data: self.section(name, kind, &files),
            files,
        })
    }

    /// Path of a file of a data set.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn path(&self, data: &str, file: &str) -> Result<PathBuf, Problem> {
        check_name(data)?;
        check_file(file)?;
        let path = self.root.join(data).join(file);
        match path.is_file() {
            true => Ok(path),
            false => Err(Problem::not_found(format_args!(
                "data set `{data}` has no file `{file}`"
            ))),
        }
    }

    /// Takes a file of a data set as it comes: whole or not at all.
    ///
    /// # Errors
    /// When it is there already, is larger than `max_bytes`, or ends early.
    pub async fn take(
        &self,
        data: &str,
        file: &str,
        mut body: Payload,
        max_bytes: u64,
    ) -> Result<UploadedData, Problem> {
        check_name(data)?;
        check_file(file)?;
        let folder = self.root.join(data);
        let path = folder.join(file);
        if path.exists() {
            return Err(exists(data, file));
        }
        if self
            .find(data)
            .is_ok_and(|found| found.files.len() >= MAX_FILES)
        {
            return Err(Problem::conflict(format_args!(
                "data set `{data}` has {MAX_FILES} files, and no more are taken"
            )));
        }
        fs::create_dir_all(&folder).map_err(|error| unwritten(data, &error))?;
        // Beside the others, so that it can be renamed; removed when this ends early.
        let mut part = Part::new(&folder, file).map_err(|error| unwritten(data, &error))?;
        let mut sha = Sha256::new();
        let mut bytes = 0_u64;
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|error| {
                Problem::bad_request(format_args!("the upload ended early: {error}"))
            })?;
            bytes += chunk.len() as u64;
            if bytes > max_bytes {
                return Err(Problem::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    format_args!(
                        "an upload has at most {max_bytes} bytes here (see --max-upload; or put the file on this \
                         machine and name its path in the topology)"
                    ),
                ));
            }
            sha.update(&chunk);
            part.file
                .write_all(&chunk)
                .map_err(|error| unwritten(data, &error))?;
        }
        let sha256 = hexadecimal(&sha.finalize());
        let digest = folder.join(format!(".{file}.sha256"));
        let keep = move || {
            part.file.sync_all()?;
            // Unlike a rename it leaves a file alone that has come meanwhile.
            fs::hard_link(&part.path, &path)?;
            fs::write(digest, sha256)
        };
        // The disk may take its time for a large file.
        let kept = web::block(keep).await.map_err(io::Error::other).flatten();
        kept.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => exists(data, file),
            _ => unwritten(data, &error),
        })?;
        self.find(data)
    }

    /// Removes a data set.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn remove(&self, name: &str) -> Result<(), Problem> {
        self.find(name)?;
        fs::remove_dir_all(self.root.join(name)).map_err(|error| unwritten(name, &error))
    }

    fn section(&self, name: &str, kind: DataKind, files: &[UploadedFile]) -> String {
        let path = |file: &UploadedFile| {
            let path = self.root.join(name).join(&file.name);
            serde_json::to_string(&path.display().to_string()).unwrap_or_default()
        };
        let with = |words: &[&str]| {
            files.iter().find(|file| {
                let name = file.name.to_ascii_lowercase();
                words.iter().all(|word| name.contains(word))
            })
        };
        match kind {
            DataKind::Csv => format!("source: csv\npath: {}\n", path(&files[0])),
            DataKind::Npz => format!("source: npz\npath: {}\n", path(&files[0])),
            DataKind::Idx => {
                let mut text = "source: idx\n".to_owned();
                let keys = [
                    ("images", ["train", "images"]),
                    ("labels", ["train", "labels"]),
                    ("test_images", ["t10k", "images"]),
                    ("test_labels", ["t10k", "labels"]),
                ];
                for (key, words) in keys {
                    let is_test = key.starts_with("test");
                    let file = with(&words).or_else(|| with(&words[1..]).filter(|_| !is_test));
                    if let Some(file) = file {
                        text.push_str(&format!("{key}: {}\n", path(file)));
                    }
                }
                text
            }
            DataKind::Unknown | DataKind::BuiltIn => String::new(),
        }
    }
}

/// A file that is still coming. What is left of it goes with this.
struct Part {
    path: PathBuf,
    file: File,
}

impl Part {
    fn new(folder: &std::path::Path, name: &str) -> io::Result<Self> {
        // Two uploads of one name do not meet.
        let path = folder.join(format!("{name}.{:08x}{PART}", rand::random::<u32>()));
        let file = File::create_new(&path)?;
        Ok(Self { path, file })
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Under its own name too, where it has come whole; a directory that is empty now goes too.
        let _ = fs::remove_file(&self.path);
        let _ = self.path.parent().map(fs::remove_dir);
    }
}

fn kind(files: &[UploadedFile]) -> DataKind {
    let name = files[0].name.to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    if ends(&[".csv", ".tsv", ".txt"]) {
        DataKind::Csv
    } else if ends(&[".npz"]) {
        DataKind::Npz
    } else if ends(&["-ubyte", ".idx"]) || name.contains("-idx") {
        DataKind::Idx
    } else {
        DataKind::Unknown
    }
}

fn check_name(name: &str) -> Result<(), Problem> {
    let is_fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    match (1..=40).contains(&name.len()) && name.chars().all(is_fine) {
        true => Ok(()),
        false => Err(Problem::unprocessable(format_args!(
            "`{name}` cannot be the name of a data set (lower-case letters, digits and dashes, at most 40)"
        ))),
    }
}

fn check_file(name: &str) -> Result<(), Problem> {
    let is_fine = |c: char| !matches!(c, '/' | '\\' | '\0') && !c.is_control();
    let is_ours = name.starts_with('.') || name.ends_with(PART);
    match (1..=120).contains(&name.len()) && name.chars().all(is_fine) && !is_ours {
        true => Ok(()),
        false => Err(Problem::unprocessable(format_args!(
            "`{name}` cannot be the name of a file (no slash, no dot in front, no `{PART}` at the end, at most 120 bytes)"
        ))),
    }
}

fn exists(data: &str, file: &str) -> Problem {
    Problem::conflict(format_args!(
        "data set `{data}` has a file `{file}` already (remove the data set, or choose another name)"
    ))
}

fn unknown(name: &str) -> Problem {
    Problem::not_found(format_args!("there is no data set `{name}`"))
}

fn unwritten(name: &str, error: &io::Error) -> Problem {
    let status = match error.kind() {
        io::ErrorKind::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Problem::new(
        status,
        format_args!("failed to use data set `{name}`: {error}"),
    )
}
