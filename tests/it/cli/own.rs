//! Image data of people's own, through the program.

use std::fs;
use std::path::Path;

use super::*;

/// A PNG file of 4 x 4 pixels of three channels; the class says which half is bright.
fn png(class: usize, shade: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 4, 4);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().expect("a header in memory");
    writer
        .write_image_data(&pixels(class, shade))
        .expect("pixels in memory");
    writer.finish().expect("a file in memory");
    bytes
}

/// Pixels of an image, channels side by side.
fn pixels(class: usize, shade: usize) -> Vec<u8> {
    let value = |place: usize| match (place / 24) == class {
        true => 200 + shade as u8,
        false => 10 + shade as u8,
    };
    (0..48).map(value).collect()
}

const CLASSES: [&str; 2] = ["above", "below"];
const N_ROWS: usize = 40;

/// Writes the same images as files, as IDX and as npz.
pub fn write_data(dir: &Path) {
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    for (class, name) in CLASSES.iter().enumerate() {
        fs::create_dir_all(dir.join("pictures").join(name)).expect("a directory");
        for shade in 0..N_ROWS / 2 {
            let path = dir.join(format!("pictures/{name}/{shade:02}.png"));
            fs::write(path, png(class, shade)).expect("a picture");
            images.extend(pixels(class, shade));
            labels.push(class as u8);
        }
    }
    let idx = |dims: &[u32], values: &[u8]| {
        let mut bytes = vec![0, 0, 8, dims.len() as u8];
        bytes.extend(dims.iter().flat_map(|dim| dim.to_be_bytes()));
        [&bytes, values].concat()
    };
    let n = N_ROWS as u32;
    fs::write(dir.join("images.idx"), idx(&[n, 4, 4, 3], &images)).expect("images");
    fs::write(dir.join("labels.idx"), idx(&[n], &labels)).expect("labels");
    let file = fs::File::create(dir.join("arrays.npz")).expect("a file");
    let mut npz = ndarray_npy::NpzWriter::new(file);
    let images = ndarray::Array4::from_shape_vec((N_ROWS, 4, 4, 3), images).expect("a shape");
    npz.add_array("x", &images).expect("rows");
    npz.add_array("y", &ndarray::Array1::from_vec(labels))
        .expect("classes");
    npz.finish().expect("an archive");
}

/// A topology of these images.
pub fn topology(name: &str, data: &str) -> String {
    format!(
        "name: {name}\ndata: {data}\nnetwork:\n  layers:\n    \
         - {{type: conv2d, name: filters, filters: 3, kernel_size: 2, activation: relu}}\n    \
         - {{type: batch_normalization, name: normal, epsilon: 1e-5}}\n    - {{type: flatten}}\n    \
         - {{type: dense, name: out, units: 2, activation: softmax}}\n  \
         loss: sparse_categorical_crossentropy\n\
         training: {{epochs: 20, batch_size: 8, optimizer: {{type: adam, learning_rate: 0.05}}}}\n"
    )
}

#[test]
fn the_same_images_train_alike_as_files_as_idx_and_as_arrays() {
    let program = TestProgram::new();
    let data = program.home.path().join("own");
    write_data(&data);
    let sources = [
        ("files", "{source: images, path: pictures}"),
        (
            "idx",
            "{source: idx, images: images.idx, labels: labels.idx, class_names: [above, below]}",
        ),
        (
            "arrays",
            "{source: npz, path: arrays.npz, class_names: [above, below]}",
        ),
    ];
    let mut digests = Vec::new();
    for (name, source) in sources {
        let file = program.write(&format!("own/{name}.yaml"), &topology(name, source));
        program.ok(&["plan", &file]);
        let trained = program.json(&["train", &file, "--json"]);
        digests.push(trained["weights_sha256"].clone());
        let evaluated = program.json(&["eval", name, "--json"]);
        assert_eq!(
            evaluated["evaluation"]["accuracy"], 1.0,
            "{name}: {evaluated}"
        );
        let pictures = data.join("pictures/below");
        let answers = program.ok(&[
            "predict",
            name,
            "--input",
            pictures.to_str().expect("a path"),
        ]);
        let lines: Vec<&str> = answers.lines().collect();
        assert_eq!(lines[0], "row,file,class,p(above),p(below)", "{name}");
        assert!(
            lines[1].starts_with("0,00.png,below,"),
            "{name}: {}",
            lines[1]
        );
        assert_eq!(lines.len(), 21, "{name}");
        for file in ["images.idx", "arrays.npz"] {
            let file = data.join(file);
            let answers = program.ok(&["predict", name, "--input", file.to_str().expect("a path")]);
            assert!(
                answers
                    .lines()
                    .nth(40)
                    .is_some_and(|line| line.starts_with("39,below,")),
                "{answers}"
            );
        }
    }
    assert_eq!(digests[0], digests[1]);
    assert_eq!(digests[0], digests[2]);
}

#[test]
fn data_that_cannot_be_used_leaves_no_run() {
    let program = TestProgram::new();
    let data = program.home.path().join("own");
    write_data(&data);
    fs::write(data.join("pictures/above/05.png"), b"text").expect("a file");
    fs::write(data.join("arrays.npz"), b"PK\x03\x04").expect("a file");
    fs::write(data.join("labels.idx"), b"\0\0\x08\x01\0\0\0\x02\0\0").expect("a file");
    for (name, source, words) in [
        (
            "files",
            "{source: images, path: pictures}",
            "pictures/above/05.png`: it is neither a PNG nor a JPEG file (",
        ),
        (
            "idx",
            "{source: idx, images: images.idx, labels: labels.idx}",
            "labels.idx`: it has the shape 2, and there are 40 rows (",
        ),
        (
            "arrays",
            "{source: npz, path: arrays.npz}",
            "arrays.npz`: the archive is damaged: ",
        ),
    ] {
        let file = program.write(&format!("own/{name}.yaml"), &topology(name, source));
        let (code, problem) = program.fails(&["train", &file]);
        assert!(problem.contains(words), "{problem}");
        assert_ne!(code, 0);
        assert_eq!(program.json(&["ps", "--json"]), serde_json::json!([]));
    }
}
