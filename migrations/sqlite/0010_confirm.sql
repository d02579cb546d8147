-- Messages that are acknowledged and wait for their gateway's word: nothing of them counts before the gateway was asked whether
-- they are true. A row goes when they are accepted or refused.
CREATE TABLE verifying (
    id          INTEGER PRIMARY KEY,
    merchant_id INTEGER NOT NULL,
    listener_id INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    digest      BLOB    NOT NULL,             -- first 16 bytes of SHA-256 over the body
    reference   TEXT    NOT NULL,             -- the order that it names, unproven; or empty
    peer        TEXT    NOT NULL,
    size        INTEGER NOT NULL,             -- of the body, bytes
    bytes       BLOB    NOT NULL,             -- packed: head, body
    repeats     INTEGER NOT NULL DEFAULT 0,   -- how often the identical message came again meanwhile
    attempts    INTEGER NOT NULL DEFAULT 0,   -- how often the gateway was asked
    asked_at    INTEGER,
    due_at      INTEGER NOT NULL,             -- the next question
    taken_until INTEGER,                      -- somebody asks at this moment, until then at most
    taken_by    INTEGER,                      -- the run of that node; null here, where there is one
    note        TEXT    NOT NULL DEFAULT ''   -- why the last question brought no answer
) STRICT;
CREATE UNIQUE INDEX verifying_once ON verifying (listener_id, digest);
CREATE INDEX verifying_due ON verifying (due_at, id);
CREATE INDEX verifying_of_merchant ON verifying (merchant_id, id);
CREATE INDEX verifying_of_order ON verifying (merchant_id, reference, id) WHERE reference <> '';
