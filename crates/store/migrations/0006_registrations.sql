-- Devices that are registered, so that they are reached after a restart. One row for each.
CREATE TABLE registrations (
    user TEXT NOT NULL,
    contact TEXT NOT NULL,
    path TEXT NOT NULL,
    transport TEXT NOT NULL,
    local TEXT NOT NULL,
    remote TEXT NOT NULL,
    instance TEXT,
    preference INTEGER NOT NULL,
    call_id TEXT NOT NULL,
    cseq INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT;

CREATE INDEX registrations_by_user ON registrations (user);
