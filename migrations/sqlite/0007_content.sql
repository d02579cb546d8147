-- What leaves for a merchant's URLs, the change of his key, and how he is told of trouble.

ALTER TABLE merchant ADD COLUMN triggers INTEGER;         -- bits of src/domain/content.rs; null: every status
ALTER TABLE merchant ADD COLUMN triggers_at INTEGER;      -- when they were changed last
ALTER TABLE merchant ADD COLUMN tags TEXT;                -- names of fields, with commas; null: every field
ALTER TABLE merchant ADD COLUMN old_key BLOB;             -- sealed; the key before
ALTER TABLE merchant ADD COLUMN old_key_until INTEGER;    -- it is valid until then
ALTER TABLE merchant ADD COLUMN alert_url TEXT;           -- null: nobody is told
ALTER TABLE merchant ADD COLUMN alert_after INTEGER NOT NULL DEFAULT 900; -- seconds that a URL must have failed

ALTER TABLE notification_url ADD COLUMN triggers INTEGER; -- null: those of its merchant
ALTER TABLE notification_url ADD COLUMN triggers_at INTEGER; -- when they were changed last
ALTER TABLE notification_url ADD COLUMN timeout INTEGER;  -- seconds; null: 30
ALTER TABLE notification_url ADD COLUMN headers BLOB;     -- sealed JSON: names and values; null: none
ALTER TABLE notification_url ADD COLUMN new_key_at INTEGER; -- its script answered with the new key since

-- What was told last of a URL. A row is also the right to tell: who moves `told_at` on tells.
CREATE TABLE url_alert (
    url_id  INTEGER PRIMARY KEY REFERENCES notification_url (id),
    kind    TEXT    NOT NULL,                 -- failing, expired, recovered
    told_at INTEGER NOT NULL,
    status  INTEGER,                          -- of the answer
    cause   TEXT,                             -- why it did not arrive; null where it did
    note    TEXT    NOT NULL
) STRICT;
