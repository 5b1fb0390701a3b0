//! The edge over real sockets on loopback, against phones made of raw sockets.

mod client_transactions;
mod server_transactions;
mod support;
