-- The first shape of the store on PostgreSQL. Conventions, as on SQLite:
--   * ids are 63-bit numbers made by the application, growing with time, so rows and indexes grow at their end;
--   * moments are microseconds since 1970 in UTC; sets of algorithms are bit masks;
--   * secrets are sealed (XChaCha20-Poly1305) before they get here;
--   * big bytes lie apart from the rows that lists read, packed (see src/server/store/pack.rs).
-- And of PostgreSQL alone:
--   * texts that are searched by their beginning compare byte by byte (collation "C");
--   * the tables on the way of a message refer to each other without foreign keys: every reference is written by code that
--     has just made or read what it points to, and `quittance doctor` checks them all;
--   * counters that many connections move at once have a row ("page") for each of these, and are summed when read, so that
--     no commit waits for another's. Page 0 holds what is left of pages that nobody writes any more.

-- Small facts about the installation: version of the settings, proof of the key file, the first-run token.
CREATE TABLE meta (
    key   text COLLATE "C" PRIMARY KEY,
    value text NOT NULL
);
INSERT INTO meta (key, value) VALUES ('settings_version', '0');

-- The processes that serve. A node is a place at work: an orderly end or a death leaves its row, and the next process that
-- starts may take it over with all its deliveries. Each time a process takes a node a new run begins.
CREATE TABLE node (
    id         bigint  PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    run        bigint  NOT NULL UNIQUE,          -- its last three digits are the mark in the ids that the run makes
    name       text    NOT NULL,                 -- host and address, for people
    started_at timestamptz NOT NULL,
    seen_at    timestamptz NOT NULL,             -- heartbeat; by the database's clock, like all of this table
    ended_at   timestamptz                       -- when it said goodbye or was declared dead
);
CREATE SEQUENCE node_run;

-- The connections of a run that write batches, each with a page of its own in the books. The number of the last batch tells,
-- after a connection broke in the middle of a commit, whether that commit was made.
CREATE TABLE line (
    page    bigint  PRIMARY KEY,
    node_id bigint  NOT NULL,
    run     bigint  NOT NULL,
    batch   bigint  NOT NULL DEFAULT 0,
    open    boolean NOT NULL DEFAULT true        -- closed when the run has ended: nothing of it can be written any more
);
CREATE INDEX line_of_node ON line (node_id) WHERE open;

-- Which node serves a URL that gets one request at a time.
CREATE TABLE lease (
    url_id  bigint PRIMARY KEY,
    node_id bigint NOT NULL
);
CREATE INDEX lease_of_node ON lease (node_id);

-- A node has stored deliveries of a URL that another node serves. Each page has its own row, so that nobody waits.
CREATE TABLE errand (
    url_id  bigint NOT NULL,
    page    bigint NOT NULL,
    node_id bigint NOT NULL,                     -- whom it is for
    PRIMARY KEY (url_id, page)
);

-- The bytes received and exchanged, many messages together, packed. Only added and, in order of age, removed.
CREATE TABLE segment (
    id    bigint PRIMARY KEY,
    bytes bytea  NOT NULL
);
-- They are packed already.
ALTER TABLE segment ALTER COLUMN bytes SET STORAGE EXTERNAL;

CREATE TABLE merchant (
    id          bigint PRIMARY KEY,
    name        text   NOT NULL,
    slug        text   COLLATE "C" NOT NULL UNIQUE,
    secret_key  bytea  NOT NULL,                 -- sealed; signs what goes out to the merchant
    created_at  bigint NOT NULL,
    updated_at  bigint NOT NULL
);
CREATE UNIQUE INDEX merchant_name ON merchant (lower(name));

CREATE TABLE listener (
    id          bigint  PRIMARY KEY,
    merchant_id bigint  NOT NULL REFERENCES merchant (id),
    gateway     text    NOT NULL,
    label       text    NOT NULL,
    path_key    text    COLLATE "C" NOT NULL UNIQUE, -- the last part of /ipn/{key}
    secret      bytea   NOT NULL,                -- sealed; checks what comes in from the gateway
    required    bigint  NOT NULL,                -- at least one of these algorithms must have signed
    enabled     boolean NOT NULL,
    created_at  bigint  NOT NULL,
    updated_at  bigint  NOT NULL
);
CREATE INDEX listener_of_merchant ON listener (merchant_id);

CREATE TABLE notification_url (
    id             bigint  PRIMARY KEY,
    merchant_id    bigint  NOT NULL REFERENCES merchant (id),
    label          text    NOT NULL,
    url            text    NOT NULL,
    is_default     boolean NOT NULL,
    algorithms     bigint  NOT NULL,
    concurrent     boolean NOT NULL,             -- Allow concurrent requests
    order_in_order boolean NOT NULL,
    held           boolean NOT NULL,
    held_at        bigint,                       -- on hold since; null where it is not
    held_cause     text,                         -- a cause's code where no person put it on hold
    -- On what terms it gets its deliveries (src/domain/terms.rs).
    max_in_flight  bigint  NOT NULL,
    rate_per_second bigint,                      -- null: no limit
    retries        text    NOT NULL,             -- a preset's name, or delays: 1m,5m,1h
    shadow         boolean NOT NULL,
    authority      text    NOT NULL,             -- certificates to trust there, as PEM
    check_status   text,                         -- how the last URL check went: 'ok', or a cause's code
    check_note     text,
    checked_at     bigint,
    removed_at     bigint,                       -- removed URLs stay, because deliveries tell of them
    created_at     bigint  NOT NULL,
    updated_at     bigint  NOT NULL
);
CREATE INDEX notification_url_of_merchant ON notification_url (merchant_id);
-- At most one default URL a merchant.
CREATE UNIQUE INDEX notification_url_default ON notification_url (merchant_id) WHERE is_default AND removed_at IS NULL;

CREATE TABLE orders (
    id            bigint  PRIMARY KEY,
    merchant_id   bigint  NOT NULL,
    gateway       text    COLLATE "C" NOT NULL,
    reference     text    COLLATE "C" NOT NULL,  -- REFNO
    external      text    COLLATE "C" NOT NULL,  -- REFNOEXT, or empty
    email         text    COLLATE "C" NOT NULL,  -- lower case, or empty
    customer      text    NOT NULL,
    status        text    COLLATE "C" NOT NULL,  -- our word
    status_rank   smallint NOT NULL,             -- how far along that is: of two messages of the same second the further one holds
    vendor_status text    NOT NULL,              -- the gateway's word
    amount        bigint,                        -- smallest units of the currency
    currency      text,
    test          boolean NOT NULL,
    event_at      bigint  NOT NULL,              -- of the message that set the status
    created_at    bigint  NOT NULL,
    updated_at    bigint  NOT NULL
);
CREATE UNIQUE INDEX orders_reference ON orders (merchant_id, reference, gateway);
CREATE INDEX orders_external ON orders (merchant_id, external) WHERE external <> '';
CREATE INDEX orders_email ON orders (merchant_id, email) WHERE email <> '';
CREATE INDEX orders_status ON orders (merchant_id, status, id);
CREATE INDEX orders_newest ON orders (merchant_id, id);
CREATE INDEX orders_test ON orders (merchant_id, id) WHERE test;

CREATE TABLE notification (
    id            bigint  PRIMARY KEY,
    merchant_id   bigint  NOT NULL,
    listener_id   bigint,                        -- null where a person placed a TEST order
    order_id      bigint  NOT NULL,
    received_at   bigint  NOT NULL,
    event_at      bigint  NOT NULL,              -- as the message says; 0 where it says nothing
    digest        bytea   NOT NULL,              -- first 16 bytes of SHA-256 over the received body
    status        text    COLLATE "C" NOT NULL,
    vendor_status text    NOT NULL,
    message_id    text    NOT NULL,
    signatures    bigint  NOT NULL,              -- the algorithms it was signed with, all right
    test          boolean NOT NULL,
    peer          text    NOT NULL,
    size          bigint  NOT NULL,              -- of the body, bytes
    segment_id    bigint  NOT NULL,              -- where the bytes lie: parts `part` (head) and `part + 1` (body)
    part          bigint  NOT NULL,
    repeats       bigint  NOT NULL DEFAULT 0,    -- how often the identical message came again
    repeated_at   bigint
);
-- Makes a message unique, whichever node receives it. Time comes first so that the index grows at its end.
CREATE UNIQUE INDEX notification_once ON notification (listener_id, event_at, digest);
CREATE INDEX notification_of_order ON notification (order_id, id);

-- One notification to one URL. The row is the job.
CREATE TABLE delivery (
    id              bigint   PRIMARY KEY,
    notification_id bigint   NOT NULL,
    url_id          bigint   NOT NULL,
    order_id        bigint   NOT NULL,
    merchant_id     bigint   NOT NULL,
    origin          bigint   NOT NULL,           -- 0 on arrival, 1 resend, 2 resend for debug
    resend_id       bigint,
    node_id         bigint   NOT NULL,           -- the node that serves it; 0 until one has taken it
    state           bigint   NOT NULL,           -- see DeliveryState: 0 and 2 are open
    attempts        bigint   NOT NULL DEFAULT 0,
    window_from     bigint,                      -- first attempt of the running retry window
    due_at          bigint,                      -- next attempt; null where none is planned
    last_attempt_at bigint,
    last_cause      text,
    created_at      bigint   NOT NULL,
    finished_at     bigint
);
-- Each row is written about twice, so a fifth of the table must not die before somebody cleans up behind the queue.
ALTER TABLE delivery SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 5000);
-- What a node serves, URL by URL. With the few nodes there are, a URL over all nodes is read by it, too.
-- First tries and further ones are read apart, so that neither waits behind a backlog of the other.
CREATE INDEX delivery_due ON delivery (node_id, url_id, state, due_at, id) WHERE state IN (0, 2);
-- What fails at the moment, for the dashboard: the oldest tells since when, the newest why.
CREATE INDEX delivery_retrying ON delivery (url_id, window_from) WHERE state = 2;
CREATE INDEX delivery_held ON delivery (url_id, id) WHERE state = 3;
CREATE INDEX delivery_of_notification ON delivery (notification_id);
CREATE INDEX delivery_expired ON delivery (url_id, finished_at) WHERE state = 5;

CREATE TABLE attempt (
    delivery_id bigint NOT NULL,
    number      bigint NOT NULL,                 -- from 1
    started_at  bigint NOT NULL,
    address     text,                            -- dialled, after vetting
    status      bigint,                          -- of the answer
    cause       text,                            -- null where it was confirmed
    detail      text   NOT NULL,                 -- JSON: what the verdict saw
    timings     text   NOT NULL,                 -- JSON: microseconds by phase
    segment_id  bigint NOT NULL,                 -- where the bytes lie: four parts from `part` on
    part        bigint NOT NULL,                 -- (request head, request body, answer head, answer body)
    PRIMARY KEY (delivery_id, number)
);

-- The running books of each URL: accepted = the sum of the states, at every commit, over all pages together.
CREATE TABLE url_books (
    url_id            bigint NOT NULL,
    page              bigint NOT NULL,
    accepted          bigint NOT NULL DEFAULT 0,
    queued            bigint NOT NULL DEFAULT 0,
    retrying          bigint NOT NULL DEFAULT 0,
    held              bigint NOT NULL DEFAULT 0,
    confirmed         bigint NOT NULL DEFAULT 0,
    expired           bigint NOT NULL DEFAULT 0,
    cancelled         bigint NOT NULL DEFAULT 0,
    last_confirmed_at bigint,
    last_attempt_at   bigint,
    PRIMARY KEY (url_id, page)
) WITH (fillfactor = 50);

-- What happened in each hour, for counts that must not scan the ledger; in pages, too.
CREATE TABLE tally (
    merchant_id   bigint NOT NULL,
    hour          bigint NOT NULL,               -- hours since 1970
    page          bigint NOT NULL,
    notifications bigint NOT NULL DEFAULT 0,
    repeats       bigint NOT NULL DEFAULT 0,
    refused       bigint NOT NULL DEFAULT 0,
    confirmed     bigint NOT NULL DEFAULT 0,
    failed        bigint NOT NULL DEFAULT 0,     -- attempts
    expired       bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (merchant_id, hour, page)
) WITH (fillfactor = 50);
CREATE INDEX tally_page ON tally (page, hour) WHERE page <> 0;

-- What was not accepted. Kept within bounds: see src/server/listener/refusals.rs.
CREATE TABLE refusal (
    id          bigint PRIMARY KEY,
    merchant_id bigint,
    listener_id bigint,                          -- null where the address belongs to no listener
    at          bigint NOT NULL,
    reason      text   NOT NULL,
    detail      text   NOT NULL,
    peer        text   NOT NULL,
    size        bigint NOT NULL,
    bytes       bytea  NOT NULL,                 -- packed: head, beginning of the body
    suppressed  bigint NOT NULL                  -- how many like it were not kept since the one before
);
ALTER TABLE refusal ALTER COLUMN bytes SET STORAGE EXTERNAL;
CREATE INDEX refusal_of_listener ON refusal (listener_id, id);

-- A person's wish to deliver again. The request key makes a double click one resend.
CREATE TABLE resend (
    id          bigint  PRIMARY KEY,
    order_id    bigint  NOT NULL,
    at          bigint  NOT NULL,
    actor       text    NOT NULL,
    debug       boolean NOT NULL,
    request_key text    COLLATE "C" NOT NULL UNIQUE
);

-- `user` is a word of SQL's own here.
CREATE TABLE account (
    id            bigint PRIMARY KEY,
    email         text   COLLATE "C" NOT NULL UNIQUE, -- lower case
    password_hash text   NOT NULL,               -- argon2id
    role          text   NOT NULL,
    created_at    bigint NOT NULL,
    updated_at    bigint NOT NULL
);

-- Which merchants a user sees. Administrators see all; support without any row sees all.
CREATE TABLE membership (
    user_id     bigint NOT NULL REFERENCES account (id),
    merchant_id bigint NOT NULL REFERENCES merchant (id),
    PRIMARY KEY (user_id, merchant_id)
);

CREATE TABLE session (
    token_hash bytea  PRIMARY KEY,               -- SHA-256 of what the cookie holds
    user_id    bigint NOT NULL REFERENCES account (id),
    created_at bigint NOT NULL,
    seen_at    bigint NOT NULL,
    expires_at bigint NOT NULL
);
CREATE INDEX session_of_user ON session (user_id);

-- Who changed what, append-only.
CREATE TABLE audit (
    id          bigint PRIMARY KEY,
    at          bigint NOT NULL,
    actor       text   NOT NULL,                 -- a user's e-mail, or how the command line was called
    merchant_id bigint,
    action      text   NOT NULL,
    subject     text   NOT NULL,
    detail      text   NOT NULL
);
CREATE INDEX audit_of_merchant ON audit (merchant_id, id);
