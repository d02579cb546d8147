-- The language that somebody has chosen; without one his browser decides.
ALTER TABLE account ADD COLUMN language text;
