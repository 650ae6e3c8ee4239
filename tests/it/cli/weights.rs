//! Weights that go out and come in again, through the program.

use std::fs;

use super::own::{topology, write_data};
use super::*;

#[test]
fn weights_go_out_and_come_in_again_in_either_layout_and_format() {
    let program = TestProgram::new();
    let data = program.home.path().join("own");
    write_data(&data);
    let file = program.write(
        "own/first.yaml",
        &topology("first", "{source: images, path: pictures}"),
    );
    program.ok(&["train", &file, "--epochs", "2"]);
    let digest = program.ok(&["digest", "first"]);
    for layout in ["keras", "torch"] {
        for format in ["safetensors", "npz"] {
            let weights = data.join(format!("{layout}.{format}"));
            let weights = weights.to_str().expect("a path");
            let export = [
                "export", "first", "--format", format, "--layout", layout, "-o", weights,
            ];
            program.ok(&export);
            let (_, problem) = program.fails(&export);
            assert!(
                problem
                    .contains("it exists (choose another path, or replace it with `--overwrite`)"),
                "{problem}"
            );
            let name = format!("{layout}-{format}");
            let set = format!("name={name}");
            let import = program.output(&["import", weights, "--into", &file, "--set", &set]);
            let said = text(&import.stderr);
            assert!(import.status.success(), "{said}");
            assert_eq!(
                said.contains("PyTorch's layout"),
                layout == "torch",
                "{said}"
            );
            assert_eq!(program.ok(&["digest", &name]), digest, "{name}");
        }
    }
    fs::write(data.join("damaged.npz"), b"PK\x03\x04").expect("a file");
    let damaged = data.join("damaged.npz");
    let damaged = damaged.to_str().expect("a path");
    let (_, problem) = program.fails(&["import", damaged, "--into", &file, "--set", "name=none"]);
    assert!(
        problem.contains("failed to read the tensors: the archive is damaged"),
        "{problem}"
    );
    // As `model.save` of Keras writes it, in the order of its files.
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for name in ["metadata.json", "config.json", "model.weights.h5"] {
        let options = zip::write::SimpleFileOptions::default();
        let stored = options.compression_method(zip::CompressionMethod::Stored);
        archive.start_file(name, stored).expect("an archive");
    }
    let archive = archive.finish().expect("an archive").into_inner();
    let keras = data.join("model.keras");
    fs::write(&keras, archive).expect("a file");
    let keras = keras.to_str().expect("a path");
    let (_, problem) = program.fails(&["import", keras, "--into", &file, "--set", "name=none"]);
    assert!(
        problem
            .contains("it is a file of Keras's `model.save` (write the tensors with `numpy.savez"),
        "{problem}"
    );
}
