//! Picture files: PNG and JPEG, to bytes channel by channel.
//!
//! The size of a picture is read before anything is unpacked, and bounded. Bytes are those of the file:
//! no colour profile, gamma or orientation that it may mention is applied.

use std::io::Cursor;

use cuttlefish_core::topology::spec::ColorMode;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// The largest number of pixels of a picture.
pub const MAX_PIXELS: usize = 1 << 24;
/// Bytes that the decoder of a PNG file may take beside the pixels.
const PNG_BYTES: usize = 64 << 20;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
const JPEG: &[u8] = b"\xff\xd8\xff";

/// Problem of a file that is no picture, or none that can be used.
#[derive(Debug, thiserror::Error)]
pub enum PictureProblem {
    /// Another kind of file.
    #[error("it is neither a PNG nor a JPEG file (convert it, or move it out of the directory)")]
    Format,
    /// The bytes cannot be unpacked.
    #[error("the picture is damaged: {0} (save it anew)")]
    Damaged(String),
    /// A size beyond the limit.
    #[error(
        "it has {height} x {width} pixels, the limit is {MAX_PIXELS} of them (use smaller pictures)"
    )]
    TooLarge {
        /// Height in pixels.
        height: usize,
        /// Width in pixels.
        width: usize,
    },
    /// More than a byte a channel.
    #[error("it has 16 bits a channel (save it with 8)")]
    Depth,
    /// A pixel that one can see through.
    #[error("its pixel in row {row}, column {column} is transparent (save it on a background)")]
    Transparent {
        /// Row from 0.
        row: usize,
        /// Column from 0.
        column: usize,
    },
    /// Colours for printing.
    #[error("its colours are {0} (save it as RGB or grayscale)")]
    Colors(String),
    /// Another size than it has to have.
    #[error("it has {} x {} pixels, and has to have {} x {} (scale it, or leave it out)", found.0, found.1, expected.0, expected.1)]
    Size {
        /// Height and width.
        found: (usize, usize),
        /// Height and width that it has to have.
        expected: (usize, usize),
    },
    /// Other channels than those that the others have.
    #[error("it {}, and has to {} ({advice})", color_words(*found, ["is", "has"]), color_words(*expected, ["be", "have"]))]
    Channels {
        /// Number of its channels.
        found: usize,
        /// Number of channels that it has to have.
        expected: usize,
        /// Advice.
        advice: &'static str,
    },
    /// The file cannot be read.
    #[error("{0}")]
    File(String),
}

/// Colours in words, behind the right form of "be" or "have".
fn color_words(channels: usize, [be, have]: [&str; 2]) -> String {
    match channels {
        1 => format!("{be} grayscale"),
        3 => format!("{be} RGB"),
        _ => format!("{have} {channels} channels"),
    }
}

/// Size of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureHeader {
    /// Height and width in pixels.
    pub size: (usize, usize),
    /// 1 for grayscale, 3 for RGB.
    pub channels: usize,
}

impl PictureHeader {
    /// Bytes of its pixels.
    pub fn features(self) -> usize {
        self.size.0 * self.size.1 * self.channels
    }

    /// The header of a picture that is converted.
    pub fn in_mode(self, mode: Option<ColorMode>) -> Self {
        let channels = match mode {
            None => self.channels,
            Some(ColorMode::Grayscale) => 1,
            Some(ColorMode::Rgb) => 3,
        };
        Self { channels, ..self }
    }
}

/// True if bytes begin as a picture file does.
pub fn is_picture(bytes: &[u8]) -> bool {
    bytes.starts_with(PNG) || bytes.starts_with(JPEG)
}

/// Reads the size of a picture.
pub fn header(bytes: &[u8]) -> Result<PictureHeader, PictureProblem> {
    if bytes.starts_with(PNG) {
        Ok(open_png(bytes)?.1)
    } else if bytes.starts_with(JPEG) {
        open_jpeg(bytes)
    } else {
        Err(PictureProblem::Format)
    }
}

/// Unpacks a picture of this size, converted to `mode` if there is one, into `pixels`: channel by channel, each
/// row by row.
///
/// # Errors
/// When it is another picture, or none. Nothing of its size is unpacked then.
pub fn decode(
    bytes: &[u8],
    expected: PictureHeader,
    mode: Option<ColorMode>,
    pixels: &mut [u8],
) -> Result<(), PictureProblem> {
    let header = header(bytes)?;
    if header.size != expected.size {
        return Err(PictureProblem::Size {
            found: header.size,
            expected: expected.size,
        });
    }
    if header.in_mode(mode).channels != expected.channels {
        return Err(PictureProblem::Channels {
            found: header.channels,
            expected: expected.channels,
            advice: "convert it, or leave it out",
        });
    }
    let decoded = match bytes.starts_with(PNG) {
        true => decode_png(bytes)?,
        false => decode_jpeg(bytes, header)?,
    };
    let places = header.size.0 * header.size.1;
    if decoded.len() != places * header.channels || pixels.len() != expected.features() {
        return Err(PictureProblem::Damaged(
            "it has another size than it says".to_owned(),
        ));
    }
    match (header.channels, expected.channels) {
        (1, _) => pixels
            .chunks_exact_mut(places)
            .for_each(|plane| plane.copy_from_slice(&decoded)),
        (_, 1) => {
            for (pixel, rgb) in pixels.iter_mut().zip(decoded.chunks_exact(3)) {
                *pixel = brightness(rgb);
            }
        }
        _ => {
            for (channel, plane) in pixels.chunks_exact_mut(places).enumerate() {
                let of_channel = decoded.iter().skip(channel).step_by(3);
                plane
                    .iter_mut()
                    .zip(of_channel)
                    .for_each(|(to, from)| *to = *from);
            }
        }
    }
    Ok(())
}

/// Brightness of a pixel after ITU-R 601, in whole numbers as Pillow has it.
fn brightness(rgb: &[u8]) -> u8 {
    const WEIGHTS: [u32; 3] = [19_595, 38_470, 7_471];
    let sum: u32 = rgb
        .iter()
        .zip(WEIGHTS)
        .map(|(&c, weight)| u32::from(c) * weight)
        .sum();
    ((sum + (1 << 15)) >> 16) as u8
}

fn checked(height: usize, width: usize, channels: usize) -> Result<PictureHeader, PictureProblem> {
    match height.checked_mul(width) {
        Some(pixels) if pixels <= MAX_PIXELS => Ok(PictureHeader {
            size: (height, width),
            channels,
        }),
        _ => Err(PictureProblem::TooLarge { height, width }),
    }
}

type PngReader<'a> = png::Reader<Cursor<&'a [u8]>>;

fn open_png(bytes: &[u8]) -> Result<(PngReader<'_>, PictureHeader), PictureProblem> {
    let damaged = |error: png::DecodingError| PictureProblem::Damaged(error.to_string());
    let limits = png::Limits { bytes: PNG_BYTES };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_transformations(png::Transformations::EXPAND);
    let reader = decoder.read_info().map_err(damaged)?;
    check_palette(reader.info())?;
    let (height, width) = (reader.info().height as usize, reader.info().width as usize);
    let (color, depth) = reader.output_color_type();
    if depth == png::BitDepth::Sixteen {
        return Err(PictureProblem::Depth);
    }
    let channels = match color {
        png::ColorType::Grayscale | png::ColorType::GrayscaleAlpha => 1,
        _ => 3,
    };
    let header = checked(height, width, channels)?;
    Ok((reader, header))
}

/// A part of a colour at the end of a palette is one that the decoder panics about.
fn check_palette(info: &png::Info<'_>) -> Result<(), PictureProblem> {
    let bytes = info.palette.as_deref().map_or(0, <[u8]>::len);
    match bytes % 3 {
        0 => Ok(()),
        _ => Err(PictureProblem::Damaged(format!(
            "its palette has {bytes} bytes, and a colour has 3"
        ))),
    }
}

/// The pixels of a PNG file, channels side by side.
fn decode_png(bytes: &[u8]) -> Result<Vec<u8>, PictureProblem> {
    let damaged = |error: png::DecodingError| PictureProblem::Damaged(error.to_string());
    let (mut reader, header) = open_png(bytes)?;
    let too_large = PictureProblem::TooLarge {
        height: header.size.0,
        width: header.size.1,
    };
    let size = reader.output_buffer_size().ok_or(too_large)?;
    let mut pixels = vec![0; size];
    reader.next_frame(&mut pixels).map_err(damaged)?;
    reader.finish().map_err(damaged)?;
    let (color, _) = reader.output_color_type();
    let channels = header.channels;
    if !matches!(color, png::ColorType::GrayscaleAlpha | png::ColorType::Rgba) {
        return Ok(pixels);
    }
    let mut opaque = Vec::with_capacity(header.features());
    for (place, pixel) in pixels.chunks_exact(channels + 1).enumerate() {
        if pixel[channels] != u8::MAX {
            let (row, column) = (place / header.size.1, place % header.size.1);
            return Err(PictureProblem::Transparent { row, column });
        }
        opaque.extend_from_slice(&pixel[..channels]);
    }
    Ok(opaque)
}

fn jpeg(bytes: &[u8], colors: ColorSpace) -> JpegDecoder<ZCursor<&[u8]>> {
    let options = DecoderOptions::default()
        // Otherwise what is missing of a picture is grey.
        .set_strict_mode(true)
        .jpeg_set_out_colorspace(colors);
    JpegDecoder::new_with_options(ZCursor::new(bytes), options)
}

fn open_jpeg(bytes: &[u8]) -> Result<PictureHeader, PictureProblem> {
    let mut decoder = jpeg(bytes, ColorSpace::RGB);
    let damaged =
        |error: zune_jpeg::errors::DecodeErrors| PictureProblem::Damaged(error.to_string());
    decoder.decode_headers().map_err(damaged)?;
    let none = || PictureProblem::Damaged("it has no header".to_owned());
    let (width, height) = decoder.dimensions().ok_or_else(none)?;
    let channels = match decoder.input_colorspace().ok_or_else(none)? {
        ColorSpace::Luma => 1,
        ColorSpace::YCbCr | ColorSpace::RGB => 3,
        other => return Err(PictureProblem::Colors(format!("{other:?}"))),
    };
    checked(height, width, channels)
}

/// The pixels of a JPEG file, channels side by side.
fn decode_jpeg(bytes: &[u8], header: PictureHeader) -> Result<Vec<u8>, PictureProblem> {
    let colors = match header.channels {
        1 => ColorSpace::Luma,
        _ => ColorSpace::RGB,
    };
    let decoded = jpeg(bytes, colors).decode();
    decoded.map_err(|error| PictureProblem::Damaged(error.to_string()))
}
