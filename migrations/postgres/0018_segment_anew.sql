-- Where segments are written anew, close together, when most of their table is free: then the two change their names, and
-- the one that was full of holes is emptied. See src/server/store/postgres/anew.rs.
CREATE TABLE segment_anew (LIKE segment INCLUDING ALL);
