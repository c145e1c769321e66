//! The `.tiktoken` format: lines of a token in base64 and its rank. See `pytok/formats/tiktoken.py`.

use crate::Vocab;

/// Returns the tokens in *data*, the content of a `.tiktoken` file, in the order of their ranks, and
/// these ranks, which can have gaps.
///
/// Returns `None` for a file that is malformed, not sorted, or no vocabulary.
///
/// ```
/// use pytok_bpe::parse_ranks;
///
/// assert!(parse_ranks(b"IQ== 0\nIg== one\n").is_none());
/// ```
#[must_use]
pub fn parse_ranks(data: &[u8]) -> Option<(Vocab, Vec<u32>)> {
    // A line has at least seven bytes; those of the published files have 16 to 18 on average.
    let mut bytes = Vec::with_capacity(data.len() / 2);
    let mut ends = Vec::with_capacity(data.len() / 16);
    let mut ids: Vec<u32> = Vec::with_capacity(data.len() / 16);
    for line in data.split(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        let space = line.iter().position(|&byte| byte == b' ')?;
        decode_base64(&line[..space], &mut bytes)?;
        ends.push(bytes.len());
        let id = parse_id(&line[space + 1..])?;
        if ids.last().is_some_and(|&last| last >= id) {
            return None;
        }
        ids.push(id);
    }
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let tokens = starts.zip(&ends).map(|(start, &end)| &bytes[start..end]);
    Some((Vocab::new(tokens).ok()?, ids))
}

fn parse_id(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 10 {
        return None;
    }
    let mut id = 0_u64;
    for digit in digits {
        id = 10 * id + u64::from(char::from(*digit).to_digit(10)?);
    }
    u32::try_from(id).ok()
}

/// The value of each letter of base64, `NO_LETTER` for all other bytes.
const VALUES: [u8; 256] = {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut values = [NO_LETTER; 256];
    let mut value = 0;
    while value < 64 {
        values[LETTERS[value] as usize] = value as u8;
        value += 1;
    }
    values
};

/// Has a bit that no value has, so that the bitwise or of several values shows whether all are
/// letters.
const NO_LETTER: u8 = 0x40;

/// Appends the bytes that *letters* stand for, in padded base64 (RFC 4648). Returns `None` for any
/// other text, also for one whose unused bits are not zero.
fn decode_base64(letters: &[u8], bytes: &mut Vec<u8>) -> Option<()> {
    let (fours, []) = letters.as_chunks::<4>() else { return None };
    let Some((last, fours)) = fours.split_last() else { return Some(()) };
    for &four in fours {
        bytes.extend_from_slice(&three_bytes(four)?);
    }
    let (four, length) = match *last {
        [first, second, b'=', b'='] => ([first, second, b'A', b'A'], 1),
        [first, second, third, b'='] => ([first, second, third, b'A'], 2),
        four => (four, 3),
    };
    let three = three_bytes(four)?;
    let (decoded, unused) = three.split_at(length);
    bytes.extend_from_slice(decoded);
    unused.iter().all(|&byte| byte == 0).then_some(())
}

fn three_bytes(letters: [u8; 4]) -> Option<[u8; 3]> {
    let values = letters.map(|letter| VALUES[letter as usize]);
    if values.iter().fold(0, |all, value| all | value) & NO_LETTER != 0 {
        return None;
    }
    let bits = values.iter().fold(0, |bits, &value| bits << 6 | u32::from(value));
    let [_, bytes @ ..] = bits.to_be_bytes();
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BYTE_ORDER;
    use proptest::prelude::*;

    /// A rank file of the 256 bytes and *lines*.
    fn file(lines: &str) -> Vec<u8> {
        const LETTERS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let line = |(rank, byte): (usize, u8)| {
            let letters = [byte >> 2, (byte & 3) << 4].map(|value| LETTERS[value as usize]);
            format!("{}{}== {rank}\n", char::from(letters[0]), char::from(letters[1]))
        };
        let bytes: String = BYTE_ORDER.into_iter().enumerate().map(line).collect();
        (bytes + lines).into_bytes()
    }

    #[test]
    fn tokens_are_decoded_and_ranks_can_have_gaps() {
        let (vocab, ids) = parse_ranks(&file("aGU= 256\r\n\nbG8h 1000")).unwrap();

        assert_eq!((vocab.token(256), vocab.token(257)), (Some(&b"he"[..]), Some(&b"lo!"[..])));
        assert_eq!(ids[255..], [255, 256, 1000]);
    }

    #[test]
    fn what_the_reader_in_python_must_judge_is_not_read() {
        let lines = [
            "aGU= 255",  // a rank twice
            "IQ== 256",  // a token twice
            "aGU= 256 ", // white space
            "aGU=\t256",
            "aGU 256",         // no padding
            "aGU= 4294967296", // beyond 32 bits
            "aGU= -1",
            "aGU= ",
            "aGU=",
            " 256",
            "aG=U 256",
            "aGV= 256", // unused bits that are not zero
            "a=== 256",
            "aG U= 256",
            "aG\rU= 256",
        ];
        for line in lines {
            assert!(parse_ranks(&file(line)).is_none(), "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_content_panics(data in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = parse_ranks(&data);
        }
    }
}
