//! The bytes of a file to text.

use std::borrow::Cow;

use cuttlefish_core::topology::spec::TextEncoding;
use encoding_rs::{DecoderResult, Encoding};

use super::CsvProblem;
use super::table::count_lines;
use crate::data::file::MAX_BYTES;

/// Bytes that are decoded at once.
const CHUNK: usize = 1 << 20;
/// Bytes at the beginning that tell the encoding.
const SAMPLE: usize = 1 << 12;
/// UTF-8, with the mark that some programs put before it.
const UTF8: TextEncoding = TextEncoding::Utf8;
const MARK: &[u8] = b"\xef\xbb\xbf";

/// The text of a file, without a mark of its byte order.
pub(super) fn decode(bytes: &[u8], encoding: TextEncoding) -> Result<Cow<'_, str>, CsvProblem> {
    let bytes = match sign(bytes) {
        // Somebody may have put UTF-8's mark before text of another encoding.
        Some(UTF8) if encoding != UTF8 && str::from_utf8(bytes).is_err() => &bytes[MARK.len()..],
        Some(found) if found != encoding => {
            return Err(CsvProblem::Sign {
                found: word(found),
                encoding: word(encoding),
            });
        }
        _ => bytes,
    };
    let text = match decoder_of(encoding) {
        None => Cow::Borrowed(decode_utf8(bytes)?),
        Some(decoder) => Cow::Owned(decode_other(bytes, decoder)?),
    };
    Ok(text)
}

fn decode_utf8(bytes: &[u8]) -> Result<&str, CsvProblem> {
    let bytes = bytes.strip_prefix(MARK).unwrap_or(bytes);
    str::from_utf8(bytes).map_err(|error| CsvProblem::Encoding {
        line: 1 + count_lines(&bytes[..error.valid_up_to()]),
    })
}

/// The encoding that the first bytes are a sign of: a mark of the byte order, or that every other byte is 0, as of
/// English in UTF-16.
fn sign(bytes: &[u8]) -> Option<TextEncoding> {
    match bytes {
        [0xef, 0xbb, 0xbf, ..] => return Some(UTF8),
        [0xff, 0xfe, ..] => return Some(TextEncoding::Utf16Le),
        [0xfe, 0xff, ..] => return Some(TextEncoding::Utf16Be),
        _ => {}
    }
    let (pairs, _) = bytes[..bytes.len().min(SAMPLE)].as_chunks::<2>();
    let zeros = |at: usize| pairs.iter().filter(|pair| pair[at] == 0).count();
    let (first, second) = (zeros(0), zeros(1));
    match first.max(second) * 2 > pairs.len() {
        true if first < second => Some(TextEncoding::Utf16Le),
        true if first > second => Some(TextEncoding::Utf16Be),
        _ => None,
    }
}

/// Name of an encoding as the topology file has it.
fn word(encoding: TextEncoding) -> String {
    match serde_json::to_value(encoding) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// Decodes piece by piece, so that no more text is made than there may be.
fn decode_other(bytes: &[u8], encoding: &'static Encoding) -> Result<String, CsvProblem> {
    let mut decoder = encoding.new_decoder_with_bom_removal();
    let mut text = String::with_capacity(bytes.len());
    let mut at = 0;
    loop {
        let end = bytes.len().min(at + CHUNK);
        let room = decoder.max_utf8_buffer_length_without_replacement(end - at);
        text.reserve(room.unwrap_or(CHUNK));
        let is_last = end == bytes.len();
        let chunk = &bytes[at..end];
        let (result, read) =
            decoder.decode_to_string_without_replacement(chunk, &mut text, is_last);
        at += read;
        match result {
            DecoderResult::Malformed(..) => {
                return Err(CsvProblem::OtherEncoding {
                    line: 1 + count_lines(text.as_bytes()),
                    encoding: encoding.name().to_ascii_lowercase(),
                });
            }
            DecoderResult::InputEmpty if is_last => return Ok(text),
            DecoderResult::InputEmpty | DecoderResult::OutputFull => {}
        }
        if text.len() as u64 > MAX_BYTES {
            return Err(CsvProblem::LongText);
        }
    }
}

/// None for UTF-8, which needs no decoder.
fn decoder_of(encoding: TextEncoding) -> Option<&'static Encoding> {
    Some(match encoding {
        TextEncoding::Utf8 => return None,
        TextEncoding::Utf16Le => encoding_rs::UTF_16LE,
        TextEncoding::Utf16Be => encoding_rs::UTF_16BE,
        TextEncoding::Latin1 | TextEncoding::Windows1252 => encoding_rs::WINDOWS_1252,
        TextEncoding::Iso8859_15 => encoding_rs::ISO_8859_15,
        TextEncoding::Iso8859_2 => encoding_rs::ISO_8859_2,
        TextEncoding::Windows1250 => encoding_rs::WINDOWS_1250,
        TextEncoding::Windows1251 => encoding_rs::WINDOWS_1251,
        TextEncoding::Koi8R => encoding_rs::KOI8_R,
        TextEncoding::Windows1253 => encoding_rs::WINDOWS_1253,
        TextEncoding::Windows1254 => encoding_rs::WINDOWS_1254,
        TextEncoding::Windows1255 => encoding_rs::WINDOWS_1255,
        TextEncoding::Windows1256 => encoding_rs::WINDOWS_1256,
        TextEncoding::Windows1257 => encoding_rs::WINDOWS_1257,
        TextEncoding::Windows1258 => encoding_rs::WINDOWS_1258,
        TextEncoding::Macintosh => encoding_rs::MACINTOSH,
        TextEncoding::ShiftJis => encoding_rs::SHIFT_JIS,
        TextEncoding::EucJp => encoding_rs::EUC_JP,
        TextEncoding::EucKr => encoding_rs::EUC_KR,
        TextEncoding::Gb18030 => encoding_rs::GB18030,
        TextEncoding::Big5 => encoding_rs::BIG5,
    })
}
