//! One leg's media: RTP, RTCP, jitter buffer, loss concealment decisions, telephone-events, SRTP.
