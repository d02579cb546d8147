-- A delivery that was given up, and whose notification its URL confirmed after somebody resent it: nothing is left to be done.
ALTER TABLE delivery ADD COLUMN put_right boolean NOT NULL DEFAULT false;
UPDATE delivery SET put_right = true
WHERE state = 5 AND EXISTS (
    SELECT 1 FROM delivery AS again
    WHERE again.notification_id = delivery.notification_id AND again.url_id = delivery.url_id AND again.state = 4
        AND again.origin <> 0 AND again.finished_at >= delivery.finished_at);
DROP INDEX delivery_expired;
CREATE INDEX delivery_expired ON delivery (url_id, put_right, finished_at) WHERE state = 5;
