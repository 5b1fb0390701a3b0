-- Times are milliseconds since 1970-01-01T00:00:00Z. Words (access, direction, result, reason) are the stable text
-- forms of the `base` crate. Columns that end in _json hold lists and figures nobody searches by.

CREATE TABLE conferences (
    id TEXT NOT NULL PRIMARY KEY,
    organizer TEXT NOT NULL,
    subject TEXT NOT NULL,
    description TEXT NOT NULL,
    access TEXT NOT NULL,
    pin TEXT,
    number TEXT,
    expiry INTEGER,
    version INTEGER NOT NULL,
    invited_json TEXT NOT NULL,
    locked INTEGER NOT NULL,
    personal INTEGER NOT NULL,
    lobby INTEGER NOT NULL,
    organizer_data TEXT NOT NULL,
    notification_data TEXT NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL
) STRICT;

CREATE INDEX conferences_by_age ON conferences (created, id);
CREATE INDEX conferences_by_organizer ON conferences (organizer, created, id);

-- Every number that was ever given, and to whom. A row stays when its conference is deleted: whoever still has the
-- number in an old invitation must not arrive in somebody else's meeting.
CREATE TABLE conference_numbers (
    number TEXT NOT NULL PRIMARY KEY,
    conference TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE cdrs (
    sequence INTEGER NOT NULL PRIMARY KEY,
    segment_id TEXT NOT NULL UNIQUE,
    conference TEXT,
    call INTEGER NOT NULL,
    sip_call_id TEXT NOT NULL,
    direction TEXT NOT NULL,
    user TEXT,
    requested_by TEXT,
    dialled TEXT,
    number TEXT,
    trunk TEXT,
    started INTEGER NOT NULL,
    answered INTEGER NOT NULL,
    ended INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    result TEXT NOT NULL,
    reason TEXT NOT NULL,
    sip_status INTEGER,
    codec TEXT,
    encrypted INTEGER NOT NULL,
    quality_json TEXT NOT NULL
) STRICT;

CREATE INDEX cdrs_by_end ON cdrs (ended, sequence);
