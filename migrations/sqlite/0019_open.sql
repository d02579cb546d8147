-- What somebody still waits for, by its notification: retention asks for it among all that came in an hour.
CREATE INDEX delivery_open ON delivery (notification_id) WHERE state IN (0, 2, 3);
