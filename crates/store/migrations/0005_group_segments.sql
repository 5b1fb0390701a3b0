-- Calls to response groups: which part of such a call a row is (greeting, queue, talk, forward, onward, none) and what
-- became of the whole call (answered, abandoned, overflowed ...). Other rows have neither.
ALTER TABLE cdrs ADD COLUMN segment TEXT;
ALTER TABLE cdrs ADD COLUMN outcome TEXT;
