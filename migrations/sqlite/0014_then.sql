-- A resend may go to the address that its URL had then. Null: to the address that the URL has at the moment of each attempt.
ALTER TABLE delivery ADD COLUMN address TEXT;
