//! Picture files and directories of them: those that are read as Pillow reads them, and those that are refused by
//! name.

use std::fs;
use std::path::Path;

use cuttlefish_core::data::{Dataset, Labels, Task, Values};
use cuttlefish_core::topology::spec::{ColorMode, Data, ImagesSource};
use serde::Deserialize;

use crate::data::images;
use crate::data::images::decode::{PictureHeader, decode, header};
use crate::data::load;

/// Files of `tests/own`.
pub fn file(name: &str) -> Vec<u8> {
    fs::read(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/own")
            .join(name),
    )
    .unwrap()
}

/// Pixels of the pictures, channel by channel, as `tests/own/make.py` says them.
#[derive(Deserialize)]
struct Contents {
    size: (usize, usize),
    pictures: std::collections::BTreeMap<String, Vec<u8>>,
    #[serde(rename = "rgb.png as grayscale")]
    as_gray: Vec<u8>,
}

fn contents() -> Contents {
    serde_json::from_slice(&file("contents.json")).unwrap()
}

fn pixels(bytes: &[u8], mode: Option<ColorMode>) -> Vec<u8> {
    let header = header(bytes).unwrap().in_mode(mode);
    let mut pixels = vec![0; header.features()];
    decode(bytes, header, mode, &mut pixels).unwrap();
    pixels
}

/// A PNG file of grey pixels.
pub fn png(height: usize, width: usize, pixels: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(pixels).unwrap();
    writer.finish().unwrap();
    bytes
}

#[test]
fn pictures_are_what_pillow_reads() {
    let contents = contents();
    for (name, expected) in &contents.pictures {
        let bytes = file(name);
        assert_eq!(header(&bytes).unwrap().size, contents.size, "{name}");
        let pixels = pixels(&bytes, None);
        assert_eq!(pixels.len(), expected.len(), "{name}");
        // Decoders of JPEG may round as they like.
        let bound = if name.ends_with(".png") { 0 } else { 4 };
        let worst = pixels
            .iter()
            .zip(expected)
            .map(|(a, b)| a.abs_diff(*b))
            .max();
        assert!(worst <= Some(bound), "{name}: {worst:?}");
    }
}

#[test]
fn pictures_are_converted_where_the_file_says_so() {
    let contents = contents();
    let gray = pixels(&file("rgb.png"), Some(ColorMode::Grayscale));
    assert_eq!(gray, contents.as_gray);
    let rgb = pixels(&file("gray.png"), Some(ColorMode::Rgb));
    assert_eq!(rgb, contents.pictures["gray.png"].repeat(3));
}

#[track_caller]
fn check_problem(bytes: &[u8], expected: &str) {
    let problem = header(bytes)
        .and_then(|header| decode(bytes, header, None, &mut vec![0; header.features()]))
        .unwrap_err()
        .to_string();
    assert!(problem.starts_with(expected), "{problem}");
    assert!(problem.ends_with(')'), "{problem}");
}

#[test]
fn pictures_that_cannot_be_used_are_told_why() {
    check_problem(b"", "it is neither a PNG nor a JPEG file (");
    check_problem(b"GIF89a", "it is neither a PNG nor a JPEG file (");
    check_problem(&file("deep.png"), "it has 16 bits a channel (");
    check_problem(
        &file("transparent.png"),
        "its pixel in row 3, column 5 is transparent (",
    );
    check_problem(&file("cmyk.jpg"), "its colours are ");
    for name in ["rgb.png", "gray.jpg", "rgb.jpg", "progressive.jpg"] {
        let bytes = file(name);
        check_problem(&bytes[..bytes.len() / 2], "the picture is damaged: ");
        check_problem(&bytes[..bytes.len() * 9 / 10], "the picture is damaged: ");
    }
}

/// Name and contents of a PNG file's chunk.
pub type Chunk = ([u8; 4], Vec<u8>);

/// The chunks of a PNG file.
pub fn chunks(png: &[u8]) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let mut rest = &png[8..];
    while let [a, b, c, d, name @ ..] = rest {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let (name, data) = name.split_at(4);
        chunks.push((name.try_into().unwrap(), data[..length].to_vec()));
        rest = &data[length + 4..];
    }
    chunks
}

/// A PNG file of chunks, with their right checksums.
pub fn of_chunks(chunks: &[Chunk]) -> Vec<u8> {
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, data) in chunks {
        let mut crc = flate2::Crc::new();
        crc.update(name);
        crc.update(data);
        png.extend((data.len() as u32).to_be_bytes());
        png.extend(name);
        png.extend(data);
        png.extend(crc.sum().to_be_bytes());
    }
    png
}

#[test]
fn a_palette_with_a_part_of_a_colour_is_damaged() {
    let chunks = chunks(&file("palette.png"));
    let palette = chunks.iter().position(|(name, _)| name == b"PLTE").unwrap();
    for length in [4, 8, 47] {
        let mut damaged = chunks.clone();
        damaged[palette].1 = vec![0; length];
        check_problem(
            &of_chunks(&damaged),
            &format!(
                "the picture is damaged: its palette has {length} bytes, and a colour has 3 ("
            ),
        );
    }
}

/// A PNG file that says it has a thousand million pixels is refused by its header.
#[test]
fn a_picture_is_not_unpacked_beyond_the_limit() {
    let mut chunks = chunks(&png(1, 1, &[0]));
    chunks[0].1[..8].copy_from_slice(&[0, 0, 0x80, 0, 0, 0, 0x80, 0]);
    let bomb = of_chunks(&chunks);
    check_problem(
        &bomb,
        "it has 32768 x 32768 pixels, the limit is 16777216 of them (",
    );
}

fn put(dir: &Path, name: &str, bytes: &[u8]) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn read(dir: &Path, change: impl FnOnce(&mut ImagesSource)) -> Result<Dataset, String> {
    let Data::Images(mut source) = Data::images("pets") else {
        panic!("a source of images was made");
    };
    change(&mut source);
    let loaded = load(&Data::Images(source), dir, dir);
    loaded
        .map(|loaded| loaded.dataset)
        .map_err(|error| error.to_string())
}

/// Two classes of three and two pictures of 1 x 2 pixels, with what file managers leave.
fn pets() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, value) in [
        ("dog/b.png", 4),
        ("cat/10.png", 1),
        ("cat/9.png", 2),
        ("cat/a.PNG", 3),
        ("dog/c.png", 5),
    ] {
        put(
            dir.path(),
            &format!("pets/{name}"),
            &png(1, 2, &[value, value]),
        );
    }
    put(dir.path(), "pets/.DS_Store", b"x");
    put(dir.path(), "pets/cat/Thumbs.db", b"x");
    dir
}

#[test]
fn a_directory_of_classes_is_read_in_the_order_of_its_names() {
    let dir = pets();
    let dataset = read(dir.path(), |_| {}).unwrap();
    let Values::Bytes { bytes, scale } = &dataset.values else {
        panic!("pictures are bytes");
    };
    assert_eq!(bytes[..], [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]);
    assert_eq!((*scale, dataset.image), (1.0 / 255.0, Some((1, 2))));
    let Task::Classification { class_names, .. } = &dataset.task else {
        panic!("directories are classes");
    };
    assert_eq!(class_names[..], ["cat", "dog"]);
    let Labels::Classes(labels) = dataset.task.labels() else {
        panic!("directories are classes");
    };
    assert_eq!(labels, [0, 0, 0, 1, 1]);
    assert_eq!(
        (dataset.split.test.len(), dataset.split.validation.len()),
        (1, 0)
    );
}

#[test]
fn a_directory_of_its_own_tests() {
    let dir = pets();
    put(dir.path(), "new/dog/x.png", &png(1, 2, &[6, 7]));
    let test_path = |path: &'static str| {
        move |source: &mut ImagesSource| source.test_path = Some(path.to_owned())
    };
    let dataset = read(dir.path(), test_path("new")).unwrap();
    assert_eq!(dataset.split.test, [5]);
    assert_eq!(dataset.split.train.len(), 5);
    put(dir.path(), "new/dog/notes.txt", b"text");
    let problem = read(dir.path(), test_path("new")).unwrap_err();
    let new = dir.path().join("new").display().to_string();
    let expected = format!("read `{new}`: 1 file in it cannot be used:");
    assert!(problem.starts_with(&expected), "{problem}");
    fs::remove_file(dir.path().join("new/dog/notes.txt")).unwrap();
    put(dir.path(), "new/cow/x.png", &png(1, 2, &[6, 7]));
    let problem = read(dir.path(), test_path("new")).unwrap_err();
    assert!(
        problem.contains("it has the class `cow`, which the training directory has not ("),
        "{problem}"
    );
}

#[test]
fn every_file_that_cannot_be_used_is_named() {
    let dir = pets();
    put(dir.path(), "pets/cat/notes.txt", b"text");
    put(dir.path(), "pets/dog/large.png", &png(2, 2, &[0; 4]));
    put(dir.path(), "pets/dog/red.png", &file("rgb.png"));
    let problem = read(dir.path(), |_| {}).unwrap_err();
    let path = |name: &str| dir.path().join("pets").join(name).display().to_string();
    let expected = format!(
        "read `{}`: 3 files in it cannot be used:\n  \
         `{}`: it is neither a PNG nor a JPEG file (convert it, or move it out of the directory)\n  \
         `{}`: it has 2 x 2 pixels, and has to have 1 x 2 (scale it, or leave it out)\n  \
         `{}`: it has 10 x 17 pixels, and has to have 1 x 2 (scale it, or leave it out)",
        path(""),
        path("cat/notes.txt"),
        path("dog/large.png"),
        path("dog/red.png")
    );
    assert_eq!(problem, expected.replace("pets/`", "pets`"));
}

#[test]
fn a_size_or_a_colour_that_is_asked_for_is_what_pictures_have_to_have() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "pets/cat/a.png", &file("gray.png"));
    put(dir.path(), "pets/dog/b.png", &file("rgb.png"));
    let problem = read(dir.path(), |_| {}).unwrap_err();
    assert!(
        problem.contains("it is RGB, and has to be grayscale (write `color_mode"),
        "{problem}"
    );
    let header = PictureHeader {
        size: (10, 17),
        channels: 4,
    };
    let pictures = images::read(&dir.path().join("pets/dog"), header, None);
    let problem = pictures.unwrap_err().to_string();
    assert!(
        problem.ends_with("it is RGB, and has to have 4 channels (convert it, or leave it out)"),
        "{problem}"
    );
    let dataset = read(dir.path(), |source| {
        source.color_mode = Some(ColorMode::Rgb)
    })
    .unwrap();
    assert_eq!((dataset.features, dataset.image), (510, Some((10, 17))));
    let problem = read(dir.path(), |source| {
        source.color_mode = Some(ColorMode::Rgb);
        source.image_size = Some([17, 10]);
    });
    let problem = problem.unwrap_err();
    assert!(
        problem.contains("2 files in it cannot be used"),
        "{problem}"
    );
    assert!(
        problem.contains("it has 10 x 17 pixels, and has to have 17 x 10"),
        "{problem}"
    );
}

#[test]
fn a_directory_that_is_none_of_classes_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let problem = read(dir.path(), |_| {}).unwrap_err();
    assert!(problem.contains("pets`: No such file"), "{problem}");
    fs::create_dir(dir.path().join("pets")).unwrap();
    let problem = read(dir.path(), |_| {}).unwrap_err();
    assert!(
        problem.contains("there is no directory of a class in it ("),
        "{problem}"
    );
    fs::create_dir(dir.path().join("pets/cat")).unwrap();
    let problem = read(dir.path(), |_| {}).unwrap_err();
    assert!(
        problem.contains("pets/cat`: there are no PNG or JPEG files in it ("),
        "{problem}"
    );
    put(dir.path(), "pets/a.png", &png(1, 1, &[0]));
    let problem = read(dir.path(), |_| {}).unwrap_err();
    assert!(
        problem.contains("a.png`: it is in no directory of a class ("),
        "{problem}"
    );
}
