//! Reading the source: one view of the whole file, table by table, as pieces of what COPY takes.

use super::{
    binary::Piece,
    tables::{Kind, TABLES, Table},
};
use crate::{
    domain::OrderStatus,
    server::store::{StoreError, vault::Vault},
};
use rusqlite::{Connection, Row, types::ValueRef};
use std::{path::Path, time::Duration};
use tokio::sync::mpsc;

/// Bytes of one piece. With those that wait and the one being made this is what a copy takes of memory.
const PIECE_BYTES: usize = 512 << 10;
/// Pieces that wait for the target.
pub(super) const PIECES: usize = 4;

/// What the reading thread tells.
pub(super) enum Told {
    /// The next table begins, with so many rows.
    Table(u64),
    /// Rows, and how many.
    Rows(Vec<u8>, u64),
    /// The table has ended; what was read of it.
    End(Sums),
}

/// What a table comes to, in the same words on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sums {
    pub rows: u64,
    /// The sum of all numbers in it.
    pub numbers: i128,
    /// Bytes of all texts and blobs in it.
    pub bytes: u64,
}

/// What rows are translated with.
pub(super) struct Translation {
    pub from: Vault,
    pub to: Vault,
    /// The target's node that gets the deliveries.
    pub node: i64,
}

/// Reads everything; ends early where nobody listens any more. What others would write meanwhile has to wait: it would be lost.
pub(super) fn read(path: &Path, translation: &Translation, tell: &mpsc::Sender<Result<Told, StoreError>>) {
    let done = (|| {
        let conn = Connection::open(path)?;
        conn.busy_timeout(Duration::from_secs(5))?;
        conn.execute_batch("PRAGMA cache_size = -16384; BEGIN IMMEDIATE")?;
        for table in &TABLES {
            if !read_table(&conn, table, translation, tell)? {
                break;
            }
        }
        conn.execute_batch("ROLLBACK")?;
        Ok(())
    })();
    if let Err(error) = done {
        let _ = tell.blocking_send(Err(error));
    }
}

/// Reads one table; `false` where nobody listens any more.
fn read_table(
    conn: &Connection,
    table: &Table,
    translation: &Translation,
    tell: &mpsc::Sender<Result<Told, StoreError>>,
) -> Result<bool, StoreError> {
    let (select, count) = table.reading();
    let expected: i64 = conn.query_row(&count, [], |row| row.get(0))?;
    let expected = u64::try_from(expected).unwrap_or(0);
    if tell.blocking_send(Ok(Told::Table(expected))).is_err() {
        return Ok(false);
    }
    let mut statement = conn.prepare(&select)?;
    let mut rows = statement.query([])?;
    let mut sums = Sums { rows: expected, ..Sums::default() };
    let mut piece = Piece::first();
    while let Some(row) = rows.next()? {
        add_row(&mut piece, &mut sums, table, row, translation)?;
        if piece.len() >= PIECE_BYTES {
            let (bytes, count) = std::mem::replace(&mut piece, Piece::further()).finish();
            if tell.blocking_send(Ok(Told::Rows(bytes, count))).is_err() {
                return Ok(false);
            }
        }
    }
    let (bytes, count) = piece.finish_last();
    let told = tell.blocking_send(Ok(Told::Rows(bytes, count))).and_then(|()| tell.blocking_send(Ok(Told::End(sums))));
    Ok(told.is_ok())
}

fn add_row(
    piece: &mut Piece,
    sums: &mut Sums,
    table: &Table,
    row: &Row<'_>,
    translation: &Translation,
) -> Result<(), StoreError> {
    piece.row(table.columns.len());
    for (at, (column, kind)) in table.columns.iter().enumerate() {
        let unexpected = || StoreError::Corrupt(format!("{}.{column} of a row that is to be copied", table.name));
        let value = row.get_ref(at)?;
        match (*kind, value) {
            (Kind::Node, _) => number(piece, sums, translation.node),
            // In rows of before only the status itself tells.
            (Kind::Rank, ValueRef::Text(status)) => {
                rank(piece, sums, OrderStatus::from_code(&String::from_utf8_lossy(status)).rank())
            }
            (Kind::Rank, ValueRef::Integer(value)) => rank(piece, sums, u8::try_from(value).map_err(|_| unexpected())?),
            (_, ValueRef::Null) => piece.null(),
            (Kind::Integer | Kind::Page, ValueRef::Integer(value)) => number(piece, sums, value),
            (Kind::Flag, ValueRef::Integer(value)) => {
                sums.numbers += i128::from(value != 0);
                piece.flag(value != 0);
            }
            (Kind::Text, ValueRef::Text(text)) => {
                // The target knows no zero characters.
                let text = String::from_utf8_lossy(text);
                let text = if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text };
                bytes(piece, sums, text.as_bytes());
            }
            (Kind::Bytes, ValueRef::Blob(blob)) => bytes(piece, sums, blob),
            (Kind::Sealed(place), ValueRef::Blob(sealed)) => {
                let place = format!("{place}/{}", row.get_ref(0)?.as_i64().map_err(|_| unexpected())?);
                let secret = translation.from.unseal(&place, sealed);
                let secret = secret.ok_or_else(|| StoreError::Corrupt(format!("{place} does not open with the key file")))?;
                bytes(piece, sums, &translation.to.seal(&place, secret.reveal()));
            }
            _ => return Err(unexpected()),
        }
    }
    Ok(())
}

fn rank(piece: &mut Piece, sums: &mut Sums, rank: u8) {
    sums.numbers += i128::from(rank);
    piece.small(i16::from(rank));
}

fn number(piece: &mut Piece, sums: &mut Sums, value: i64) {
    sums.numbers += i128::from(value);
    piece.number(value);
}

fn bytes(piece: &mut Piece, sums: &mut Sums, value: &[u8]) {
    sums.bytes += value.len() as u64;
    piece.bytes(value);
}
