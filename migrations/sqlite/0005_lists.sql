-- What the dashboard, the lists and the search of the panel need.

-- How a URL answered in each hour, by how long that took. Only the last days are kept (src/server/store/activity.rs).
CREATE TABLE url_tally (
    url_id    INTEGER NOT NULL,
    hour      INTEGER NOT NULL,               -- hours since 1970
    bucket    INTEGER NOT NULL,               -- of the answer's time; -1 where no answer came
    confirmed INTEGER NOT NULL DEFAULT 0,     -- attempts
    failed    INTEGER NOT NULL DEFAULT 0,     -- attempts
    PRIMARY KEY (url_id, hour, bucket)
) STRICT, WITHOUT ROWID;

-- The certificate that a URL's server showed last.
CREATE TABLE url_certificate (
    url_id  INTEGER PRIMARY KEY,
    url     TEXT    NOT NULL,                 -- as it was then: another address has another certificate
    ends_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL
) STRICT;

-- Exact times, days of filters and charts of a merchant's pages are in this zone: a name of the IANA database.
ALTER TABLE merchant ADD COLUMN time_zone TEXT NOT NULL DEFAULT 'UTC';

-- Filters of lists that somebody wants to have at hand.
CREATE TABLE saved_view (
    id          INTEGER PRIMARY KEY,
    user_id     INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    merchant_id INTEGER NOT NULL REFERENCES merchant (id) ON DELETE CASCADE,
    list        TEXT    NOT NULL,             -- 'orders', 'deliveries' or 'inbound'
    name        TEXT    NOT NULL,
    query       TEXT    NOT NULL,             -- of the list's address
    UNIQUE (user_id, merchant_id, list, name)
) STRICT;

-- The list of what came in, and the search for a message by the gateway's number of it.
CREATE INDEX notification_newest ON notification (merchant_id, id);
CREATE INDEX notification_message ON notification (merchant_id, message_id) WHERE message_id <> '';
CREATE INDEX refusal_of_merchant ON refusal (merchant_id, id);

-- A bulk resend begins a little after it was asked for, so that it can be stopped before anything is sent.
ALTER TABLE bulk_job ADD COLUMN starts_at INTEGER NOT NULL DEFAULT 0;
