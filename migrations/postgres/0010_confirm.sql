-- Messages that are acknowledged and wait for their gateway's word: nothing of them counts before the gateway was asked whether
-- they are true. A row goes when they are accepted or refused.
CREATE TABLE verifying (
    id          bigint PRIMARY KEY,
    merchant_id bigint NOT NULL,
    listener_id bigint NOT NULL,
    received_at bigint NOT NULL,
    digest      bytea  NOT NULL,              -- first 16 bytes of SHA-256 over the body
    reference   text   NOT NULL,              -- the order that it names, unproven; or empty
    peer        text   NOT NULL,
    size        bigint NOT NULL,              -- of the body, bytes
    bytes       bytea  NOT NULL,              -- packed: head, body
    repeats     bigint NOT NULL DEFAULT 0,    -- how often the identical message came again meanwhile
    attempts    bigint NOT NULL DEFAULT 0,    -- how often the gateway was asked
    asked_at    bigint,
    due_at      bigint NOT NULL,              -- the next question
    taken_until bigint,                       -- some node asks at this moment, until then at most
    taken_by    bigint,                       -- the run of that node: when it ends the message is free at once
    note        text   NOT NULL DEFAULT ''    -- why the last question brought no answer
);
CREATE UNIQUE INDEX verifying_once ON verifying (listener_id, digest);
CREATE INDEX verifying_due ON verifying (due_at, id);
CREATE INDEX verifying_of_merchant ON verifying (merchant_id, id);
CREATE INDEX verifying_of_order ON verifying (merchant_id, reference, id) WHERE reference <> '';
