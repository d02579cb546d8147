-- From which point on a merchant is told of a certificate that ends and of deliveries that pile up; each of these is told apart from
-- the others, so what was told last of a URL has a row for each.
ALTER TABLE merchant ADD COLUMN alert_certificate INTEGER DEFAULT 14; -- days before a certificate ends; null: not told
ALTER TABLE merchant ADD COLUMN alert_outstanding INTEGER;            -- deliveries to a URL; null: not told

-- What a message told of money, for the story of its order: below zero what it gave back. Kept beside the bytes, which lie packed with
-- many others and go sooner. Null where it told nothing, and in rows of before.
ALTER TABLE notification ADD COLUMN amount INTEGER;                   -- smallest units of the currency
ALTER TABLE notification ADD COLUMN currency TEXT;                    -- null: the order's

CREATE TABLE url_alert_new (
    url_id  INTEGER NOT NULL REFERENCES notification_url (id),
    topic   TEXT    NOT NULL,                 -- deliveries, certificate, outstanding
    kind    TEXT    NOT NULL,                 -- of AlertKind in src/domain/pages/settings.rs
    told_at INTEGER NOT NULL,
    status  INTEGER,                          -- of the answer
    cause   TEXT,                             -- why it did not arrive; null where it did
    note    TEXT    NOT NULL,
    PRIMARY KEY (url_id, topic)
) STRICT;
INSERT INTO url_alert_new (url_id, topic, kind, told_at, status, cause, note)
    SELECT url_id, 'deliveries', kind, told_at, status, cause, note FROM url_alert;
DROP TABLE url_alert;
ALTER TABLE url_alert_new RENAME TO url_alert;

CREATE TABLE alert_mail_new (
    id          INTEGER PRIMARY KEY,
    merchant_id INTEGER NOT NULL,
    url_id      INTEGER NOT NULL,
    topic       TEXT    NOT NULL,
    told_at     INTEGER NOT NULL,         -- of the alert
    recipient   TEXT    NOT NULL,
    subject     TEXT    NOT NULL,
    text        TEXT    NOT NULL,
    state       INTEGER NOT NULL,         -- 0 waits, 1 sent, 2 given up
    attempts    INTEGER NOT NULL DEFAULT 0,
    due_at      INTEGER NOT NULL,         -- of one that is being tried: when it is tried again if nothing is heard of it
    finished_at INTEGER,
    cause       TEXT,                     -- why the last try failed
    note        TEXT    NOT NULL DEFAULT '',
    UNIQUE (url_id, topic, told_at, recipient)
) STRICT;
INSERT INTO alert_mail_new (id, merchant_id, url_id, topic, told_at, recipient, subject, text, state, attempts, due_at, finished_at, cause, note)
    SELECT id, merchant_id, url_id, 'deliveries', told_at, recipient, subject, text, state, attempts, due_at, finished_at, cause, note
    FROM alert_mail;
DROP TABLE alert_mail;
ALTER TABLE alert_mail_new RENAME TO alert_mail;
CREATE INDEX alert_mail_due ON alert_mail (due_at, id) WHERE state = 0;
CREATE INDEX alert_mail_of_merchant ON alert_mail (merchant_id, id);
