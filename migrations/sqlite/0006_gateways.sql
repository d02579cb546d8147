-- Listeners of gateways that need more than one secret, and messages that leave in another form than they came in.
ALTER TABLE listener ADD COLUMN options BLOB;                              -- sealed; JSON of names and values

-- 1: it came from a gateway with words of its own. Part `part + 2` is the form that is sent on, and where the message has a
-- number of its own, `digest` is over `message_id` instead of the body.
ALTER TABLE notification ADD COLUMN translated INTEGER NOT NULL DEFAULT 0;

ALTER TABLE orders ADD COLUMN event_told INTEGER NOT NULL DEFAULT 1;       -- the gateway said when; 0: it is the time of arrival
ALTER TABLE orders ADD COLUMN refunded INTEGER NOT NULL DEFAULT 0;         -- refunds told one by one, summed up
ALTER TABLE orders ADD COLUMN refunded_total INTEGER NOT NULL DEFAULT 0;   -- the largest sum of refunds that was told
