-- The page of an order tells everything that happened: messages that named it and were refused, and what was done to its
-- URLs meanwhile.
ALTER TABLE refusal ADD COLUMN reference TEXT NOT NULL DEFAULT ''; -- the order that it names, unproven; or empty
CREATE INDEX refusal_of_order ON refusal (merchant_id, reference, id) WHERE reference <> '';
CREATE INDEX audit_of_urls ON audit (merchant_id, id) WHERE action IN ('url.change', 'url.hold', 'url.release', 'url.remove');
