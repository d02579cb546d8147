-- Invitations and withdrawn users, where a session is from, an audit log that tells what changed and cannot be changed
-- itself, versions of settings, and forms that are done once.

ALTER TABLE account ADD COLUMN disabled_at bigint;                            -- signs in no more; null where he may
ALTER TABLE account ADD COLUMN version bigint NOT NULL DEFAULT 1;             -- grows with every change of his rights
-- The link to choose a password, as an invitation or where it was forgotten: SHA-256 of its token. Who has not chosen one yet
-- has an empty password_hash.
ALTER TABLE account ADD COLUMN link_hash bytea;
ALTER TABLE account ADD COLUMN link_expires_at bigint;
CREATE UNIQUE INDEX account_link ON account (link_hash) WHERE link_hash IS NOT NULL;
CREATE INDEX membership_of_merchant ON membership (merchant_id);

ALTER TABLE session ADD COLUMN address text NOT NULL DEFAULT '';              -- where it began
ALTER TABLE session ADD COLUMN agent text NOT NULL DEFAULT '';                -- the browser, as it names itself

-- What two people edit has a version that grows with every change. A save names the one that it was made from.
ALTER TABLE merchant ADD COLUMN version bigint NOT NULL DEFAULT 1;
ALTER TABLE listener ADD COLUMN version bigint NOT NULL DEFAULT 1;
ALTER TABLE notification_url ADD COLUMN version bigint NOT NULL DEFAULT 1;

ALTER TABLE audit ADD COLUMN address text NOT NULL DEFAULT '';                -- the client's address as the server knows it
ALTER TABLE audit ADD COLUMN subject_id bigint;                               -- of the thing that got a new version
ALTER TABLE audit ADD COLUMN version bigint;                                  -- which that is
ALTER TABLE audit ADD COLUMN changes text NOT NULL DEFAULT '';                -- JSON: fields with their old and new values
CREATE INDEX audit_of_actor ON audit (actor, id);
CREATE INDEX audit_of_action ON audit (action, id);
CREATE INDEX audit_of_subject ON audit (subject_id, version) WHERE subject_id IS NOT NULL;

-- Only what an unfinished copy from SQLite has left may go, so that the copy can begin anew.
CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' AND EXISTS (SELECT 1 FROM meta WHERE key = 'copy_unfinished') THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'the audit log is append-only';
END
$$;
CREATE TRIGGER audit_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();

-- A form that makes or sends something carries a key. The second post with it gets the answer of the first; kept for a day.
CREATE TABLE form_key (
    user_id bigint NOT NULL,
    key     text   NOT NULL,
    at      bigint NOT NULL,
    answer  bytea,                               -- sealed JSON; null while the first is being worked at
    PRIMARY KEY (user_id, key)
);
CREATE INDEX form_key_age ON form_key (at);
