-- What could not be read or applied on an installation that was moved here from SQLite; kept for a person to look at.
CREATE TABLE journal_stuck (
    id       bigint PRIMARY KEY,
    events   bytea  NOT NULL,
    segments bytea
);
