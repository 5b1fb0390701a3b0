//! Offer/answer as a pure function over a library's SDP grammar.
