-- The first shape of the store. Conventions:
--   * ids are 63-bit numbers made by the application, growing with time, so rows and indexes grow at their end;
--   * moments are microseconds since 1970 in UTC; flags are 0 or 1; sets of algorithms are bit masks;
--   * secrets are sealed (XChaCha20-Poly1305) before they get here;
--   * big bytes lie apart from the rows that lists read, packed (see src/server/store/pack.rs).

-- Small facts about the installation: version of the settings, proof of the key file, the first-run token.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Commits of the journal that could not be read, or that the tables below could not take; kept for a person to look at.
CREATE TABLE journal_stuck (
    id       INTEGER PRIMARY KEY,
    events   BLOB    NOT NULL,                -- packed JSON, see src/server/store/sqlite/journal.rs
    segments BLOB                             -- as they lay in the journal, where that could not be read
) STRICT;

-- The bytes received and exchanged, many messages together, packed. Only added and, in order of age, removed.
CREATE TABLE segment (
    id    INTEGER PRIMARY KEY,
    bytes BLOB    NOT NULL
) STRICT;

CREATE TABLE merchant (
    id          INTEGER PRIMARY KEY,
    name        TEXT    NOT NULL UNIQUE COLLATE NOCASE,
    slug        TEXT    NOT NULL UNIQUE,
    secret_key  BLOB    NOT NULL,             -- sealed; signs what goes out to the merchant
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE listener (
    id          INTEGER PRIMARY KEY,
    merchant_id INTEGER NOT NULL REFERENCES merchant (id),
    gateway     TEXT    NOT NULL,
    label       TEXT    NOT NULL,
    path_key    TEXT    NOT NULL UNIQUE,      -- the last part of /ipn/{key}
    secret      BLOB    NOT NULL,             -- sealed; checks what comes in from the gateway
    required    INTEGER NOT NULL,             -- at least one of these algorithms must have signed
    enabled     INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX listener_of_merchant ON listener (merchant_id);

CREATE TABLE notification_url (
    id             INTEGER PRIMARY KEY,
    merchant_id    INTEGER NOT NULL REFERENCES merchant (id),
    label          TEXT    NOT NULL,
    url            TEXT    NOT NULL,
    is_default     INTEGER NOT NULL,
    algorithms     INTEGER NOT NULL,
    concurrent     INTEGER NOT NULL,          -- Allow concurrent requests
    order_in_order INTEGER NOT NULL,
    held           INTEGER NOT NULL,
    check_status   TEXT,                      -- how the last URL check went: 'ok', or a cause's code
    check_note     TEXT,
    checked_at     INTEGER,
    removed_at     INTEGER,                   -- removed URLs stay, because deliveries tell of them
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL
) STRICT;
CREATE INDEX notification_url_of_merchant ON notification_url (merchant_id);
-- At most one default URL a merchant.
CREATE UNIQUE INDEX notification_url_default ON notification_url (merchant_id) WHERE is_default = 1 AND removed_at IS NULL;

CREATE TABLE orders (
    id            INTEGER PRIMARY KEY,
    merchant_id   INTEGER NOT NULL REFERENCES merchant (id),
    gateway       TEXT    NOT NULL,
    reference     TEXT    NOT NULL,           -- REFNO
    external      TEXT    NOT NULL,           -- REFNOEXT, or empty
    email         TEXT    NOT NULL,           -- lower case, or empty
    customer      TEXT    NOT NULL,
    status        TEXT    NOT NULL,           -- our word
    vendor_status TEXT    NOT NULL,           -- the gateway's word
    amount        INTEGER,                    -- smallest units of the currency
    currency      TEXT,
    test          INTEGER NOT NULL,
    event_at      INTEGER NOT NULL,           -- of the message that set the status
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX orders_reference ON orders (merchant_id, reference, gateway);
CREATE INDEX orders_external ON orders (merchant_id, external) WHERE external <> '';
CREATE INDEX orders_email ON orders (merchant_id, email) WHERE email <> '';
CREATE INDEX orders_status ON orders (merchant_id, status, id);
CREATE INDEX orders_newest ON orders (merchant_id, id);
CREATE INDEX orders_test ON orders (merchant_id, id) WHERE test = 1;

CREATE TABLE notification (
    id            INTEGER PRIMARY KEY,
    merchant_id   INTEGER NOT NULL,
    listener_id   INTEGER,                    -- null where a person placed a TEST order
    order_id      INTEGER NOT NULL REFERENCES orders (id),
    received_at   INTEGER NOT NULL,
    event_at      INTEGER NOT NULL,           -- as the message says; 0 where it says nothing
    digest        BLOB    NOT NULL,           -- first 16 bytes of SHA-256 over the received body
    status        TEXT    NOT NULL,
    vendor_status TEXT    NOT NULL,
    message_id    TEXT    NOT NULL,
    signatures    INTEGER NOT NULL,           -- the algorithms it was signed with, all right
    test          INTEGER NOT NULL,
    peer          TEXT    NOT NULL,
    size          INTEGER NOT NULL,           -- of the body, bytes
    segment_id    INTEGER NOT NULL,           -- where the bytes lie: parts `part` (head) and `part + 1` (body)
    part          INTEGER NOT NULL,
    repeats       INTEGER NOT NULL DEFAULT 0, -- how often the identical message came again
    repeated_at   INTEGER
) STRICT;
-- Makes a message unique. Time comes first so that the index grows at its end.
CREATE UNIQUE INDEX notification_once ON notification (listener_id, event_at, digest);
CREATE INDEX notification_of_order ON notification (order_id, id);

-- One notification to one URL. The row is the job.
CREATE TABLE delivery (
    id              INTEGER PRIMARY KEY,
    notification_id INTEGER NOT NULL REFERENCES notification (id),
    url_id          INTEGER NOT NULL REFERENCES notification_url (id),
    order_id        INTEGER NOT NULL,
    merchant_id     INTEGER NOT NULL,
    origin          INTEGER NOT NULL,         -- 0 on arrival, 1 resend, 2 resend for debug
    resend_id       INTEGER,
    node_id         INTEGER,                  -- the node that serves it; null until one has taken it
    state           INTEGER NOT NULL,         -- see DeliveryState: 0 and 2 are open
    attempts        INTEGER NOT NULL DEFAULT 0,
    window_from     INTEGER,                  -- first attempt of the running retry window
    due_at          INTEGER,                  -- next attempt; null where none is planned
    last_attempt_at INTEGER,
    last_cause      TEXT,
    created_at      INTEGER NOT NULL,
    finished_at     INTEGER
) STRICT;
CREATE INDEX delivery_due ON delivery (url_id, due_at, id) WHERE state IN (0, 2);
-- What fails at the moment, for the dashboard: the oldest tells since when, the newest why.
CREATE INDEX delivery_retrying ON delivery (url_id, window_from) WHERE state = 2;
CREATE INDEX delivery_held ON delivery (url_id, id) WHERE state = 3;
CREATE INDEX delivery_orphan ON delivery (id) WHERE node_id IS NULL AND state IN (0, 2);
CREATE INDEX delivery_of_notification ON delivery (notification_id);
CREATE INDEX delivery_expired ON delivery (url_id, finished_at) WHERE state = 5;

CREATE TABLE attempt (
    delivery_id INTEGER NOT NULL REFERENCES delivery (id),
    number      INTEGER NOT NULL,             -- from 1
    started_at  INTEGER NOT NULL,
    address     TEXT,                         -- dialled, after vetting
    status      INTEGER,                      -- of the answer
    cause       TEXT,                         -- null where it was confirmed
    detail      TEXT NOT NULL,                -- JSON: what the verdict saw
    timings     TEXT NOT NULL,                -- JSON: microseconds by phase
    segment_id  INTEGER NOT NULL,             -- where the bytes lie: four parts from `part` on
    part        INTEGER NOT NULL,             -- (request head, request body, answer head, answer body)
    PRIMARY KEY (delivery_id, number)
) STRICT;

-- The running books of each URL: accepted = the sum of the states, at every commit.
CREATE TABLE url_books (
    url_id            INTEGER PRIMARY KEY REFERENCES notification_url (id),
    accepted          INTEGER NOT NULL DEFAULT 0,
    queued            INTEGER NOT NULL DEFAULT 0,
    retrying          INTEGER NOT NULL DEFAULT 0,
    held              INTEGER NOT NULL DEFAULT 0,
    confirmed         INTEGER NOT NULL DEFAULT 0,
    expired           INTEGER NOT NULL DEFAULT 0,
    cancelled         INTEGER NOT NULL DEFAULT 0,
    last_confirmed_at INTEGER,
    last_attempt_at   INTEGER
) STRICT;

-- What happened in each hour, for counts that must not scan the ledger.
CREATE TABLE tally (
    merchant_id   INTEGER NOT NULL,
    hour          INTEGER NOT NULL,           -- hours since 1970
    notifications INTEGER NOT NULL DEFAULT 0,
    repeats       INTEGER NOT NULL DEFAULT 0,
    refused       INTEGER NOT NULL DEFAULT 0,
    confirmed     INTEGER NOT NULL DEFAULT 0,
    failed        INTEGER NOT NULL DEFAULT 0, -- attempts
    expired       INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (merchant_id, hour)
) STRICT, WITHOUT ROWID;

-- What was not accepted. Kept within bounds: see src/server/listener/refusals.rs.
CREATE TABLE refusal (
    id          INTEGER PRIMARY KEY,
    merchant_id INTEGER,
    listener_id INTEGER,                      -- null where the address belongs to no listener
    at          INTEGER NOT NULL,
    reason      TEXT    NOT NULL,
    detail      TEXT    NOT NULL,
    peer        TEXT    NOT NULL,
    size        INTEGER NOT NULL,
    bytes       BLOB    NOT NULL,             -- packed: head, beginning of the body
    suppressed  INTEGER NOT NULL              -- how many like it were not kept since the one before
) STRICT;
CREATE INDEX refusal_of_listener ON refusal (listener_id, id);

-- A person's wish to deliver again. The request key makes a double click one resend.
CREATE TABLE resend (
    id          INTEGER PRIMARY KEY,
    order_id    INTEGER NOT NULL REFERENCES orders (id),
    at          INTEGER NOT NULL,
    actor       TEXT    NOT NULL,
    debug       INTEGER NOT NULL,
    request_key TEXT    NOT NULL UNIQUE
) STRICT;

CREATE TABLE user (
    id            INTEGER PRIMARY KEY,
    email         TEXT    NOT NULL UNIQUE,    -- lower case
    password_hash TEXT    NOT NULL,           -- argon2id
    role          TEXT    NOT NULL,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL
) STRICT;

-- Which merchants a user sees. Administrators see all; support without any row sees all.
CREATE TABLE membership (
    user_id     INTEGER NOT NULL REFERENCES user (id),
    merchant_id INTEGER NOT NULL REFERENCES merchant (id),
    PRIMARY KEY (user_id, merchant_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE session (
    token_hash BLOB PRIMARY KEY,              -- SHA-256 of what the cookie holds
    user_id    INTEGER NOT NULL REFERENCES user (id),
    created_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_of_user ON session (user_id);

-- Who changed what, append-only.
CREATE TABLE audit (
    id          INTEGER PRIMARY KEY,
    at          INTEGER NOT NULL,
    actor       TEXT    NOT NULL,             -- a user's e-mail, or how the command line was called
    merchant_id INTEGER,
    action      TEXT    NOT NULL,
    subject     TEXT    NOT NULL,
    detail      TEXT    NOT NULL
) STRICT;
CREATE INDEX audit_of_merchant ON audit (merchant_id, id);
