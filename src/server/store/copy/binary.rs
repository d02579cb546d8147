//! Rows in the binary form that COPY takes: for each value its length and its bytes, in the order of networks.

/// What the form begins with: its name, no flags, no extension.
const HEAD: [u8; 19] = *b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What it ends with, in place of a row's number of values.
const END: i16 = -1;
/// In place of the length of a value that is not there.
const NULL: i32 = -1;

/// A piece of the stream: whole rows.
pub(super) struct Piece {
    bytes: Vec<u8>,
    rows: u64,
}

impl Piece {
    /// The piece that a stream begins with.
    pub fn first() -> Self {
        Self { bytes: HEAD.to_vec(), rows: 0 }
    }

    /// A piece that follows another.
    pub const fn further() -> Self {
        Self { bytes: Vec::new(), rows: 0 }
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Begins a row of so many values.
    pub fn row(&mut self, values: usize) {
        self.rows += 1;
        self.bytes.extend(i16::try_from(values).unwrap_or(i16::MAX).to_be_bytes());
    }

    pub fn null(&mut self) {
        self.bytes.extend(NULL.to_be_bytes());
    }

    pub fn number(&mut self, value: i64) {
        self.bytes(&value.to_be_bytes());
    }

    pub fn small(&mut self, value: i16) {
        self.bytes(&value.to_be_bytes());
    }

    pub fn flag(&mut self, value: bool) {
        self.bytes(&[u8::from(value)]);
    }

    /// A blob, or a text in UTF-8.
    pub fn bytes(&mut self, value: &[u8]) {
        // A value beyond 2 GiB has no place in a row of SQLite either.
        self.bytes.extend(i32::try_from(value.len()).unwrap_or(i32::MAX).to_be_bytes());
        self.bytes.extend_from_slice(value);
    }

    /// The bytes, and how many rows they are.
    pub fn finish(self) -> (Vec<u8>, u64) {
        (self.bytes, self.rows)
    }

    /// The same for the piece that a stream ends with.
    pub fn finish_last(mut self) -> (Vec<u8>, u64) {
        self.bytes.extend(END.to_be_bytes());
        self.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_head_rows_and_end() {
        let mut piece = Piece::first();
        piece.row(3);
        piece.number(1);
        piece.null();
        piece.bytes(b"ab");
        let (bytes, rows) = piece.finish_last();
        assert_eq!(rows, 1);
        assert_eq!(&bytes[..19], &HEAD);
        assert_eq!(
            hex::encode(&bytes[19..]),
            concat!("0003", "00000008", "0000000000000001", "ffffffff", "00000002", "6162", "ffff")
        );
    }
}
