-- Invitations and withdrawn users, where a session is from, an audit log that tells what changed and cannot be changed
-- itself, versions of settings, and forms that are done once.

ALTER TABLE user ADD COLUMN disabled_at INTEGER;                              -- signs in no more; null where he may
ALTER TABLE user ADD COLUMN version INTEGER NOT NULL DEFAULT 1;               -- grows with every change of his rights
-- The link to choose a password, as an invitation or where it was forgotten: SHA-256 of its token. Who has not chosen one yet
-- has an empty password_hash.
ALTER TABLE user ADD COLUMN link_hash BLOB;
ALTER TABLE user ADD COLUMN link_expires_at INTEGER;
CREATE UNIQUE INDEX user_link ON user (link_hash) WHERE link_hash IS NOT NULL;
CREATE INDEX membership_of_merchant ON membership (merchant_id);

ALTER TABLE session ADD COLUMN address TEXT NOT NULL DEFAULT '';              -- where it began
ALTER TABLE session ADD COLUMN agent TEXT NOT NULL DEFAULT '';                -- the browser, as it names itself

-- What two people edit has a version that grows with every change. A save names the one that it was made from.
ALTER TABLE merchant ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
ALTER TABLE listener ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
ALTER TABLE notification_url ADD COLUMN version INTEGER NOT NULL DEFAULT 1;

ALTER TABLE audit ADD COLUMN address TEXT NOT NULL DEFAULT '';                -- the client's address as the server knows it
ALTER TABLE audit ADD COLUMN subject_id INTEGER;                              -- of the thing that got a new version
ALTER TABLE audit ADD COLUMN version INTEGER;                                 -- which that is
ALTER TABLE audit ADD COLUMN changes TEXT NOT NULL DEFAULT '';                -- JSON: fields with their old and new values
CREATE INDEX audit_of_actor ON audit (actor, id);
CREATE INDEX audit_of_action ON audit (action, id);
CREATE INDEX audit_of_subject ON audit (subject_id, version) WHERE subject_id IS NOT NULL;

CREATE TRIGGER audit_stays BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
CREATE TRIGGER audit_is_as_written BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;

-- A form that makes or sends something carries a key. The second post with it gets the answer of the first; kept for a day.
CREATE TABLE form_key (
    user_id INTEGER NOT NULL,
    key     TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    answer  BLOB,                             -- sealed JSON; null while the first is being worked at
    PRIMARY KEY (user_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX form_key_age ON form_key (at);
