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
