-- Whether telephone callers pass the lobby, and whether authenticated users come in as presenters.
ALTER TABLE conferences ADD COLUMN phones_pass_lobby INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conferences ADD COLUMN promote_authenticated INTEGER NOT NULL DEFAULT 0;
