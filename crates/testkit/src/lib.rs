//! Scripted callers, talking robots and the tone oracle, over real SIP and RTP.
