-- By which SIP call a line of a history came to be; lines of before have nothing. It is asked for by people only, so seldom
-- that an index, to be kept with every line, is not worth it.
ALTER TABLE conversations ADD COLUMN sip_call_id TEXT;
