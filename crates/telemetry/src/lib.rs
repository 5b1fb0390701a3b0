//! What the server tells about itself: the metric catalogue and the log's set-up.
//!
//! Every metric of the server stands in [`Metrics`] and nowhere else. Labels come from closed sets: no conference, user,
//! number or address is ever a label, so the number of series does not grow with use. Whoever holds a figure passes it
//! as a plain value.
//!
//! Must not know: the engine, SIP, media.
//! Start reading at [`Metrics`], then [`start_log`].

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod catalogue;
mod label;
mod log;
mod metrics;

pub use log::{LogError, start_log};
pub use metrics::{CdrFigures, GroupFigures, LegFigures, MediaFigures, Metrics, SipFigures};
