-- One line of one user's call history. `seen` says whether he has been told of a missed call and has looked.
CREATE TABLE conversations (
    sequence INTEGER NOT NULL PRIMARY KEY,
    user TEXT NOT NULL,
    kind TEXT NOT NULL,
    call INTEGER NOT NULL,
    peer TEXT NOT NULL,
    peer_name TEXT,
    dialled TEXT,
    answered_by TEXT,
    started INTEGER NOT NULL,
    answered INTEGER,
    ended INTEGER NOT NULL,
    result TEXT NOT NULL,
    reason TEXT NOT NULL,
    seen INTEGER NOT NULL
) STRICT;

CREATE INDEX conversations_by_user ON conversations (user, sequence);
CREATE INDEX conversations_unseen ON conversations (user) WHERE kind = 'missed' AND seen = 0;

-- What a user changed of his call-routing settings at run time, and what the configuration said then: when that says
-- something else later, it was changed last and counts.
CREATE TABLE user_profiles (
    user TEXT NOT NULL PRIMARY KEY,
    profile_json TEXT NOT NULL,
    configured_json TEXT NOT NULL
) STRICT, WITHOUT ROWID;
