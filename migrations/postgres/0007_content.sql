-- What leaves for a merchant's URLs, the change of his key, and how he is told of trouble.

ALTER TABLE merchant ADD COLUMN triggers bigint;          -- bits of src/domain/content.rs; null: every status
ALTER TABLE merchant ADD COLUMN triggers_at bigint;       -- when they were changed last
ALTER TABLE merchant ADD COLUMN tags text;                -- names of fields, with commas; null: every field
ALTER TABLE merchant ADD COLUMN old_key bytea;            -- sealed; the key before
ALTER TABLE merchant ADD COLUMN old_key_until bigint;     -- it is valid until then
ALTER TABLE merchant ADD COLUMN alert_url text;           -- null: nobody is told
ALTER TABLE merchant ADD COLUMN alert_after bigint NOT NULL DEFAULT 900; -- seconds that a URL must have failed

ALTER TABLE notification_url ADD COLUMN triggers bigint;  -- null: those of its merchant
ALTER TABLE notification_url ADD COLUMN triggers_at bigint; -- when they were changed last
ALTER TABLE notification_url ADD COLUMN timeout bigint;   -- seconds; null: 30
ALTER TABLE notification_url ADD COLUMN headers bytea;    -- sealed JSON: names and values; null: none
ALTER TABLE notification_url ADD COLUMN new_key_at bigint; -- its script answered with the new key since

-- What was told last of a URL. A row is also the right to tell: who moves `told_at` on tells.
CREATE TABLE url_alert (
    url_id  bigint PRIMARY KEY,
    kind    text   NOT NULL,                  -- failing, expired, recovered
    told_at bigint NOT NULL,
    status  bigint,                           -- of the answer
    cause   text,                             -- why it did not arrive; null where it did
    note    text   NOT NULL
);
