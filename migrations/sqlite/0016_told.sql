-- How far along is what the gateway told last, as PostgreSQL's tables have it: refunds may make another status of it. Null in rows of
-- before: as the status.
ALTER TABLE orders ADD COLUMN status_rank INTEGER;
