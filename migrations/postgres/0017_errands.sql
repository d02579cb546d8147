-- The oldest of what was stored: from there on the table is read, however late a message was written and whatever the clocks
-- of the machines say. 0: from the beginning.
ALTER TABLE errand ADD COLUMN due_at bigint NOT NULL DEFAULT 0;
