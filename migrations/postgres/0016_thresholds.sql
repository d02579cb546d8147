-- From which point on a merchant is told of a certificate that ends and of deliveries that pile up; each of these is told apart from
-- the others, so what was told last of a URL has a row for each.
ALTER TABLE merchant ADD COLUMN alert_certificate bigint DEFAULT 14;  -- days before a certificate ends; null: not told
ALTER TABLE merchant ADD COLUMN alert_outstanding bigint;             -- deliveries to a URL; null: not told

ALTER TABLE url_alert ADD COLUMN topic text COLLATE "C" NOT NULL DEFAULT 'deliveries'; -- deliveries, certificate, outstanding
ALTER TABLE url_alert ALTER COLUMN topic DROP DEFAULT;
ALTER TABLE url_alert DROP CONSTRAINT url_alert_pkey;
ALTER TABLE url_alert ADD PRIMARY KEY (url_id, topic);

ALTER TABLE alert_mail ADD COLUMN topic text COLLATE "C" NOT NULL DEFAULT 'deliveries';
ALTER TABLE alert_mail ALTER COLUMN topic DROP DEFAULT;
ALTER TABLE alert_mail DROP CONSTRAINT alert_mail_url_id_told_at_recipient_key;
ALTER TABLE alert_mail ADD UNIQUE (url_id, topic, told_at, recipient);

-- What a message told of money, for the story of its order: below zero what it gave back. Kept beside the bytes, which lie packed with
-- many others and go sooner. Null where it told nothing, and in rows of before.
ALTER TABLE notification ADD COLUMN amount bigint;                    -- smallest units of the currency
ALTER TABLE notification ADD COLUMN currency text;                    -- null: the order's
