//! What must last: conference records and call detail records, in SQLite.
