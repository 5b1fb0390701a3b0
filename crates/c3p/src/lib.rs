//! C3P requests, responses and conference-info documents, to and from typed values.
