//! Picture files at random: nothing panics.

use cuttlefish_core::topology::spec::ColorMode;
use proptest::prelude::*;
use proptest::sample::Index;

use super::images::{Chunk, chunks, file, of_chunks};
use crate::data::images::decode::{PictureHeader, decode, header};

/// Bytes of any kind give an answer.
fn check_bounded(bytes: &[u8]) {
    let expected = PictureHeader {
        size: (10, 17),
        channels: 3,
    };
    for mode in [None, Some(ColorMode::Rgb)] {
        let mut pixels = vec![0; expected.features()];
        let _ = decode(bytes, expected, mode, &mut pixels);
    }
    if let Ok(header) = header(bytes)
        && header.features() < 1 << 16
    {
        let _ = decode(bytes, header, None, &mut vec![0; header.features()]);
    }
}

/// A change of one of a file's parts: its contents, its length, or another part before it.
#[derive(Clone, Debug)]
enum Damage {
    Byte(Index, u8),
    Cut(Index),
    Before(&'static [u8], Vec<u8>),
    Gone,
}

/// Damages of parts, some of which are parts of these names.
fn any_damages(names: &'static [&'static [u8]]) -> impl Strategy<Value = Vec<(Index, Damage)>> {
    let index = any::<Index>;
    let bytes = prop::collection::vec(any::<u8>(), 0..40);
    let damage = prop_oneof![
        4 => (index(), any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        2 => index().prop_map(Damage::Cut),
        2 => (prop::sample::select(names), bytes).prop_map(|(name, data)| Damage::Before(name, data)),
        1 => Just(Damage::Gone),
    ];
    prop::collection::vec((index(), damage), 1..4)
}

/// Parts after some damages. `new` makes a part of a name and contents.
fn damaged<P>(
    mut parts: Vec<P>,
    damages: Vec<(Index, Damage)>,
    new: impl Fn(&[u8], Vec<u8>) -> P,
    contents: impl Fn(&mut P) -> &mut Vec<u8>,
) -> Vec<P> {
    for (index, damage) in damages {
        if parts.is_empty() {
            break;
        }
        let part = index.index(parts.len());
        match damage {
            Damage::Byte(at, byte) => {
                let contents = contents(&mut parts[part]);
                if !contents.is_empty() {
                    let at = at.index(contents.len());
                    contents[at] = byte;
                }
            }
            Damage::Cut(length) => {
                let contents = contents(&mut parts[part]);
                contents.truncate(length.index(contents.len() + 1));
            }
            Damage::Before(name, data) => parts.insert(part, new(name, data)),
            Damage::Gone => {
                parts.remove(part);
            }
        }
    }
    parts
}

/// The segments of a JPEG file without their first byte; pixels are at the end of the one before them.
fn segments(jpeg: &[u8]) -> Vec<Vec<u8>> {
    let mut segments = Vec::new();
    let mut rest = &jpeg[2..];
    while let [0xff, marker, high, low, ..] = rest
        && *marker != 0xd9
    {
        let end = 2 + usize::from(u16::from_be_bytes([*high, *low]));
        let body = &rest[end..];
        let is_next = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 0xd0..=0xd7);
        let pixels = body.windows(2).position(is_next).unwrap_or(body.len());
        segments.push([&rest[1..2], &rest[2..end + pixels]].concat());
        rest = &body[pixels..];
    }
    segments
}

proptest! {
    /// Checksums are right, so that what is in the chunks is looked at.
    #[test]
    fn damaged_chunks_never_panic(
        name in prop::sample::select(vec!["rgb.png", "palette.png", "bits.png", "gray.png", "transparent.png", "deep.png"]),
        damages in any_damages(&[b"PLTE", b"tRNS", b"acTL", b"fcTL", b"fdAT", b"IDAT", b"gAMA", b"iCCP", b"sBIT", b"zTXt", b"eXIf"]),
    ) {
        let new = |name: &[u8], data| (name.try_into().unwrap(), data);
        let chunks = damaged(chunks(&file(name)), damages, new, |chunk: &mut Chunk| &mut chunk.1);
        check_bounded(&of_chunks(&chunks));
    }

    #[test]
    fn damaged_segments_never_panic(
        name in prop::sample::select(vec!["rgb.jpg", "progressive.jpg", "gray.jpg", "cmyk.jpg"]),
        damages in any_damages(&[
            b"\xc0", b"\xc2", b"\xc4", b"\xda", b"\xdb", b"\xdd", b"\xee\x00\x0eAdobe", b"\xe1\x00\x20Exif\0\0",
            b"\xe2\x00\x10ICC_PROFILE\0", b"\xe1\x00\x40http://ns.adobe.com/xmp/extension/\0",
        ]),
    ) {
        let new = |name: &[u8], data: Vec<u8>| [name, &data].concat();
        let segments = damaged(segments(&file(name)), damages, new, |segment| segment);
        let segments = segments.iter().flat_map(|segment| [&[0xff], &segment[..]].concat());
        check_bounded(&[0xff, 0xd8].into_iter().chain(segments).chain([0xff, 0xd9]).collect::<Vec<u8>>());
    }

    #[test]
    fn random_bytes_never_panic(
        start in prop::sample::select(vec![&b"\x89PNG\r\n\x1a\n"[..], b"\xff\xd8\xff"]),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        check_bounded(&[start, &bytes].concat());
    }

    #[test]
    fn damaged_files_never_panic(
        name in prop::sample::select(vec!["rgb.png", "palette.png", "bits.png", "rgb.jpg", "progressive.jpg", "gray.jpg", "cmyk.jpg"]),
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 0..4),
        length in any::<Index>(),
        cut in any::<bool>(),
    ) {
        let mut bytes = file(name);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if cut {
            bytes.truncate(length.index(bytes.len() + 1));
        }
        check_bounded(&bytes);
    }
}
