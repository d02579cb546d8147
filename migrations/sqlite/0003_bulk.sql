-- Lists of deliveries, and resends of whole lists.

-- The deliveries of a merchant, the newest last; those that need somebody apart, because they are few among very many. What
-- is confirmed at once touches the first only, and only when it is made.
CREATE INDEX delivery_newest ON delivery (merchant_id, id);
CREATE INDEX delivery_delayed ON delivery (merchant_id, state, id) WHERE state IN (2, 3);
CREATE INDEX delivery_failed ON delivery (merchant_id, id) WHERE state IN (5, 6);
-- How the deliveries of a resend stand.
CREATE INDEX delivery_of_resend ON delivery (resend_id, state, attempts) WHERE resend_id IS NOT NULL;

-- A person's wish that all deliveries of a list be made again. It is done a few at a time (src/server/store/bulk.rs); the
-- deliveries made name it in `resend_id`, and they are of origin 3. The request key makes a double click one wish.
CREATE TABLE bulk_job (
    id            INTEGER PRIMARY KEY,
    merchant_id   INTEGER NOT NULL REFERENCES merchant (id),
    at            INTEGER NOT NULL,
    actor         TEXT    NOT NULL,
    request_key   TEXT    NOT NULL UNIQUE,
    filter        TEXT    NOT NULL,           -- JSON: DeliveryFilter
    target        TEXT    NOT NULL,           -- 'same': the URL of then; 'all': all current URLs
    expected      INTEGER,                    -- deliveries to make, as they were counted before
    ceiling       INTEGER NOT NULL,           -- only deliveries that were made before this id
    state         INTEGER NOT NULL,           -- 0 running, 1 done, 2 cancelled
    position      INTEGER NOT NULL,           -- everything up to this id was looked through
    swept         INTEGER NOT NULL,           -- everything was, but for what is behind
    behind        TEXT    NOT NULL,           -- JSON: URL to the id after which its part is still to be made
    made          INTEGER NOT NULL,
    confirmed     INTEGER NOT NULL,           -- left out, and why: see LeftOut
    waiting       INTEGER NOT NULL,
    removed       INTEGER NOT NULL,
    without_bytes INTEGER NOT NULL,
    turn          INTEGER NOT NULL,           -- the lowest is worked at next
    finished_at   INTEGER                     -- null while there is something to do for it
) STRICT;
CREATE INDEX bulk_job_open ON bulk_job (turn, id) WHERE finished_at IS NULL;
CREATE INDEX bulk_job_of_merchant ON bulk_job (merchant_id, id);
