//! SIP transports, transactions, strict message checks, digest, and the registrar edge.
