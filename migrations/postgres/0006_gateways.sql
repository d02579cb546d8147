-- Listeners of gateways that need more than one secret, and messages that leave in another form than they came in.
ALTER TABLE listener ADD COLUMN options bytea;                             -- sealed; JSON of names and values

-- It came from a gateway with words of its own. Part `part + 2` is the form that is sent on, and where the message has a
-- number of its own, `digest` is over `message_id` instead of the body.
ALTER TABLE notification ADD COLUMN translated boolean NOT NULL DEFAULT false;

ALTER TABLE orders ADD COLUMN event_told boolean NOT NULL DEFAULT true;    -- the gateway said when; false: it is the time of arrival
ALTER TABLE orders ADD COLUMN refunded bigint NOT NULL DEFAULT 0;          -- refunds told one by one, summed up
ALTER TABLE orders ADD COLUMN refunded_total bigint NOT NULL DEFAULT 0;    -- the largest sum of refunds that was told
