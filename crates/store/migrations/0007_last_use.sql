-- When a conference was last of use. Those from before count from now, so that none goes because of the change.
ALTER TABLE conferences ADD COLUMN used INTEGER NOT NULL DEFAULT 0;
UPDATE conferences SET used = CAST(strftime('%s', 'now') AS INTEGER) * 1000;
