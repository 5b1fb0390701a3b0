//! The Focus: life cycle, admission, roles, roster with versions, and control of one conference.
