//! Metric catalogue, tracing set-up, call detail records out of events.
