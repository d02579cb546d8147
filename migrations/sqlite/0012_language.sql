-- The language that somebody has chosen; without one his browser decides.
ALTER TABLE user ADD COLUMN language TEXT;
