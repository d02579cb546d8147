-- E-mail addresses that are told of trouble, with commas between them; null: nobody is mailed.
ALTER TABLE merchant ADD COLUMN alert_mail TEXT;

-- Alerts by mail. The row is the job; it is made in the same moment in which the alert is claimed, by whichever node claims it.
CREATE TABLE alert_mail (
    id          INTEGER PRIMARY KEY,
    merchant_id INTEGER NOT NULL,
    url_id      INTEGER NOT NULL,
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
    UNIQUE (url_id, told_at, recipient)
) STRICT;
CREATE INDEX alert_mail_due ON alert_mail (due_at, id) WHERE state = 0;
CREATE INDEX alert_mail_of_merchant ON alert_mail (merchant_id, id);
