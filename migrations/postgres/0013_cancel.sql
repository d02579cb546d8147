-- Lists of deliveries that a person gave up (src/server/store/cancel.rs): a bulk_job whose target is 'cancel'.

-- The job that cancelled a delivery. One whose request was on its way in that moment may be confirmed all the same.
ALTER TABLE delivery ADD COLUMN cancel_id bigint;
CREATE INDEX delivery_of_cancel ON delivery (cancel_id, state) WHERE cancel_id IS NOT NULL;
-- Deliveries before this id may have been cancelled while they stood in the memory of whoever sends them: they are looked up
-- before their turn. Grows with each list that is cancelled, and again at its end.
ALTER TABLE merchant ADD COLUMN cancelled_before bigint NOT NULL DEFAULT 0;
