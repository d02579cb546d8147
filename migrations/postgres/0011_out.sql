-- In which form messages leave for a URL: 'ipn', 'json' or 'pass-through' (src/domain/format.rs).
ALTER TABLE notification_url ADD COLUMN format TEXT NOT NULL DEFAULT 'ipn';

-- Whom a merchant has mailed about his orders, and with what: JSON of src/domain/mail.rs; null: nobody.
ALTER TABLE merchant ADD COLUMN mail TEXT;

-- Mails to customers. The row is the job, and there is one for a notification, whichever node makes it.
CREATE TABLE mail (
    id              BIGINT PRIMARY KEY,
    merchant_id     BIGINT NOT NULL,
    order_id        BIGINT NOT NULL,
    notification_id BIGINT NOT NULL UNIQUE,
    status          TEXT    NOT NULL,         -- of the order, in our words
    recipient       TEXT    NOT NULL,         -- empty where the order names nobody
    sender          TEXT    NOT NULL,         -- empty: the installation's
    sender_name     TEXT    NOT NULL,
    subject         TEXT    NOT NULL,
    text            TEXT    NOT NULL,
    state           BIGINT NOT NULL,         -- 0 waits, 1 sent, 2 given up
    attempts        BIGINT NOT NULL DEFAULT 0,
    due_at          BIGINT NOT NULL,         -- of one that is being tried: when it is tried again if nothing is heard of it
    created_at      BIGINT NOT NULL,
    finished_at     BIGINT,
    cause           TEXT,                     -- why the last try failed
    note            TEXT    NOT NULL DEFAULT ''
);
CREATE INDEX mail_due ON mail (due_at, id) WHERE state = 0;
CREATE INDEX mail_of_order ON mail (order_id, id);
CREATE INDEX mail_failed ON mail (merchant_id, id) WHERE state = 2;
