-- In which form messages leave for a URL: 'ipn', 'json' or 'pass-through' (src/domain/format.rs).
ALTER TABLE notification_url ADD COLUMN format TEXT NOT NULL DEFAULT 'ipn';
