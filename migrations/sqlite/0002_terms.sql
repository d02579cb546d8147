-- On what terms a URL gets its deliveries (src/domain/terms.rs), and why it is on hold.
ALTER TABLE notification_url ADD COLUMN max_in_flight INTEGER NOT NULL DEFAULT 64;
ALTER TABLE notification_url ADD COLUMN rate_per_second INTEGER;              -- null: no limit
ALTER TABLE notification_url ADD COLUMN retries TEXT NOT NULL DEFAULT '2checkout'; -- a preset's name, or delays: 1m,5m,1h
ALTER TABLE notification_url ADD COLUMN shadow INTEGER NOT NULL DEFAULT 0;
ALTER TABLE notification_url ADD COLUMN authority TEXT NOT NULL DEFAULT '';   -- certificates to trust there, as PEM
ALTER TABLE notification_url ADD COLUMN held_at INTEGER;                      -- on hold since; null where it is not, or nobody knows
ALTER TABLE notification_url ADD COLUMN held_cause TEXT;                      -- a cause's code where no person put it on hold

-- First tries and further ones are read apart, so that neither waits behind a backlog of the other. A row stands in one
-- of the two, as it stood in the one before.
DROP INDEX delivery_due;
CREATE INDEX delivery_fresh ON delivery (url_id, due_at, id) WHERE state = 0;
CREATE INDEX delivery_again ON delivery (url_id, due_at, id) WHERE state = 2;
