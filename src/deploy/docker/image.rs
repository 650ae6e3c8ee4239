//! The neuron image: found, or built from the program alone, without a base image.

use std::fs::Permissions;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use bollard::query_parameters::{BuildImageOptions, CreateImageOptions};
use cuttlefish_core::digest::hexadecimal;
use futures_util::StreamExt;
use sha2::{Digest, Sha256};

use super::error::is_gone;
use super::{Docker, Error};

/// Dockerfile of the neuron image.
// A link into neuron-image/, which a published package of this crate would not have.
pub const DOCKERFILE: &str = include_str!("neuron.Dockerfile");

/// The name of images; the tag says which program is in it.
pub const NAME: &str = "cuttlefish-neuron";

/// The file name of the program.
pub const PROGRAM: &str = "cuttlefish-neuron";

/// Signal of Ctrl-C, which every process of the terminal gets.
const SIGINT: i32 = 2;

/// No program of ours is larger.
const MAX_PROGRAM: u64 = 256 << 20;

/// The containers' program, read and checked.
pub struct Program {
    bytes: Vec<u8>,
    /// SHA-256 of the program and the Dockerfile, in hexadecimal.
    sha256: String,
}

impl Program {
    /// Reads the program at `path`.
    ///
    /// # Errors
    /// When it is not there, or needs libraries that the image would not have.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let failed = |problem: String, hint| Error::Program { problem, hint };
        let mut bytes = Vec::new();
        let read = std::fs::File::open(path)
            .and_then(|file| file.take(MAX_PROGRAM).read_to_end(&mut bytes));
        if let Err(error) = read {
            return Err(failed(
                format!("read the containers' program `{}`: {error}", path.display()),
                "build it with `cargo build --release --workspace`, or name it with `--program`",
            ));
        }
        if !is_self_contained(&bytes) {
            return Err(failed(
                format!(
                    "use `{}` in containers: it is no self-contained Linux program",
                    path.display()
                ),
                "build it with the repository's `.cargo/config.toml` in force",
            ));
        }
        let digest = Sha256::new_with_prefix(&bytes)
            .chain_update(DOCKERFILE)
            .finalize();
        Ok(Self {
            bytes,
            sha256: hexadecimal(&digest),
        })
    }

    /// The image's name and tag: another program has another one, and so has the same program in an image
    /// that is built in another way, so that an image never changes.
    pub fn image(&self) -> String {
        format!("{NAME}:{}", &self.sha256[..12])
    }

    /// Writes the program to `path`, unless it is there.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        if std::fs::read(path).is_ok_and(|bytes| bytes == self.bytes) {
            return Ok(());
        }
        let temporary = path.with_extension("part");
        std::fs::write(&temporary, &self.bytes)?;
        std::fs::set_permissions(&temporary, Permissions::from_mode(0o555))?;
        // Processes that run the old one keep it.
        std::fs::rename(&temporary, path)
    }
}

/// The program that an image holds, if it is the one beside this program.
pub fn program_of(image: &str) -> Option<Program> {
    let program = Program::read(&directory().ok()?.join(PROGRAM)).ok()?;
    (program.image() == image).then_some(program)
}

/// The directory of this program; for an example or a test, that of the programs that cargo built with it.
fn directory() -> std::io::Result<PathBuf> {
    let this = std::env::current_exe()?;
    let directory = this.parent().unwrap_or(Path::new("/"));
    let is_below = directory.ends_with("examples") || directory.ends_with("deps");
    Ok(match directory.parent().filter(|_| is_below) {
        Some(programs) => programs.to_owned(),
        None => directory.to_owned(),
    })
}

/// Path of the containers' program: beside this one. In a checkout it is built when it is missing.
///
/// # Errors
/// When it is not there and cannot be built.
pub fn find_program(note: &dyn Fn(&str)) -> Result<PathBuf, Error> {
    let missing = |problem: String| Error::Program {
        problem,
        hint: "build it with `cargo build --release --workspace`, or name it with `--program`",
    };
    let directory = &directory().map_err(|error| missing(format!("find this program: {error}")))?;
    let program = directory.join(PROGRAM);
    // In a checkout it is always built, so that it is as new as this program; a build of what is
    // there takes no time.
    if let Some(checkout) = checkout(directory) {
        note("building the containers' program with cargo");
        let mut cargo = std::process::Command::new("cargo");
        cargo
            // The workspace's features: those of the package alone are fewer, and would have its
            // dependencies built again.
            .args([
                "build",
                "--quiet",
                "--release",
                "--workspace",
                "--bin",
                PROGRAM,
            ])
            .current_dir(&checkout)
            .env("CARGO_TARGET_DIR", target_dir(directory))
            .stdout(Stdio::null());
        for name in CARGO_VARIABLES {
            cargo.env_remove(name);
        }
        let built = cargo.status();
        match built {
            Ok(status) if status.success() => {}
            // Ctrl-C, which the caller hears of as well.
            Ok(status) if status.signal() == Some(SIGINT) && program.exists() => {}
            Ok(status) if !program.exists() => {
                return Err(missing(format!(
                    "build the containers' program: cargo: {status}"
                )));
            }
            Err(error) if !program.exists() => {
                return Err(missing(format!(
                    "build the containers' program: cargo: {error}"
                )));
            }
            _ => {
                note("cargo could not build the containers' program; taking the one that is there")
            }
        }
    }
    if program.exists() {
        Ok(program)
    } else {
        let path = program.display();
        Err(missing(format!("find the containers' program `{path}`")))
    }
}

/// Variables that cargo sets for the programs and tests that it runs. Build scripts get them as well, and
/// some would be run again, with everything that depends on them, because these differ.
const CARGO_VARIABLES: [&str; 7] = [
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_LINKS",
    "CARGO_PKG_NAME",
    "CARGO_PKG_VERSION_MAJOR",
    "CARGO_PKG_VERSION_MINOR",
    "CARGO_PKG_VERSION_PATCH",
    "CARGO_PKG_VERSION_PRE",
];

/// The checkout that a program in a target directory was built from.
fn checkout(directory: &Path) -> Option<PathBuf> {
    let is_release = directory.file_name().is_some_and(|name| name == "release");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let is_ours = target_dir(directory).join("CACHEDIR.TAG").exists()
        && root.join("neuron-image/Cargo.toml").exists();
    (is_release && is_ours).then(|| root.to_owned())
}

/// Cargo's target directory, for programs that are built for a named target: two levels up.
fn target_dir(directory: &Path) -> PathBuf {
    let two_up = directory.parent().and_then(Path::parent);
    two_up.unwrap_or(directory).to_owned()
}

/// True if this is a Linux program (ELF, 64 bit) that asks for no interpreter, which is what loads shared
/// libraries.
fn is_self_contained(bytes: &[u8]) -> bool {
    const PT_INTERP: u32 = 3;
    let number = |at: usize, n: usize| -> Option<usize> {
        let mut value = [0; 8];
        value[..n].copy_from_slice(bytes.get(at..at + n)?);
        usize::try_from(u64::from_le_bytes(value)).ok()
    };
    let has_interpreter = || -> Option<bool> {
        let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
        for entry in 0..count {
            if number(table.checked_add(entry * size)?, 4)? == PT_INTERP as usize {
                return Some(true);
            }
        }
        Some(false)
    };
    bytes.starts_with(b"\x7fELF\x02") && has_interpreter() == Some(false)
}

impl Docker {
    /// True if there is an image of that name.
    pub async fn has_image(&self, image: &str) -> Result<bool, Error> {
        match self.client().inspect_image(image).await {
            Ok(_) => Ok(true),
            Err(error) if is_gone(&error) => Ok(false),
            Err(error) => Err(Error::api(&format!("look for image {image}"), error)),
        }
    }

    /// True if containers of one image share its pages in memory. Those of some storage drivers have a file
    /// system, and with it a page cache, of their own.
    pub async fn shares_images(&self) -> Result<bool, Error> {
        let driver = self.info().await?.driver.unwrap_or_default();
        Ok(matches!(driver.as_str(), "overlay2" | "overlayfs"))
    }

    /// Pulls an image from its registry.
    pub async fn pull(&self, image: &str) -> Result<(), Error> {
        let options = CreateImageOptions {
            from_image: Some(image.to_owned()),
            ..CreateImageOptions::default()
        };
        let mut steps = self.client().create_image(Some(options), None, None);
        while let Some(step) = steps.next().await {
            step.map_err(|source| Error::Pull {
                image: image.to_owned(),
                source,
            })?;
        }
        Ok(())
    }

    /// Builds the image of a program, and tags it `latest` as well.
    pub async fn build_image(&self, program: &Program) -> Result<(), Error> {
        let image = program.image();
        let what = format!("build image {image}");
        let context = context(program).map_err(|error| Error::Program {
            problem: format!("{what}: {error}"),
            hint: "is there enough memory?",
        })?;
        let options = BuildImageOptions {
            t: Some(image.clone()),
            dockerfile: "Dockerfile".to_owned(),
            q: true,
            rm: true,
            forcerm: true,
            ..BuildImageOptions::default()
        };
        let body = bollard::body_full(context.into());
        let mut steps = self.client().build_image(options, None, Some(body));
        while let Some(step) = steps.next().await {
            let info = step.map_err(|error| Error::api(&what, error))?;
            if let Some(detail) = info.error_detail {
                return Err(Error::Program {
                    problem: format!("{what}: {}", detail.message.unwrap_or_default()),
                    hint: "what Docker says is all there is to know",
                });
            }
        }
        let tag = bollard::query_parameters::TagImageOptions {
            repo: Some(NAME.to_owned()),
            tag: Some("latest".to_owned()),
        };
        let tagged = self.client().tag_image(&image, Some(tag)).await;
        tagged.map_err(|error| Error::api(&what, error))
    }
}

/// Build context for Docker: the Dockerfile and the program, in a tar archive that depends on nothing else.
fn context(program: &Program) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::with_capacity(program.bytes.len() + 4096));
    for (name, content, mode) in [
        ("Dockerfile", DOCKERFILE.as_bytes(), 0o644),
        (PROGRAM, &program.bytes, 0o755),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(mode);
        header.set_mtime(0);
        archive.append_data(&mut header, name, content)?;
    }
    archive.into_inner()
}
