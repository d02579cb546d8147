-- E-mail addresses that are told of trouble, with commas between them; null: nobody is mailed.
ALTER TABLE merchant ADD COLUMN alert_mail text;

-- Alerts by mail. The row is the job; it is made in the same moment in which the alert is claimed, by whichever node claims it.
CREATE TABLE alert_mail (
    id          BIGINT PRIMARY KEY,
    merchant_id BIGINT NOT NULL,
    url_id      BIGINT NOT NULL,
    told_at     BIGINT NOT NULL,          -- of the alert
    recipient   TEXT   NOT NULL,
    subject     TEXT   NOT NULL,
    text        TEXT   NOT NULL,
    state       BIGINT NOT NULL,          -- 0 waits, 1 sent, 2 given up
    attempts    BIGINT NOT NULL DEFAULT 0,
    due_at      BIGINT NOT NULL,          -- of one that is being tried: when it is tried again if nothing is heard of it
    finished_at BIGINT,
    cause       TEXT,                     -- why the last try failed
    note        TEXT   NOT NULL DEFAULT '',
    UNIQUE (url_id, told_at, recipient)
);
CREATE INDEX alert_mail_due ON alert_mail (due_at, id) WHERE state = 0;
CREATE INDEX alert_mail_of_merchant ON alert_mail (merchant_id, id);
