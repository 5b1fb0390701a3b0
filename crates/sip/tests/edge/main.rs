//! The edge over real sockets on loopback, against phones made of raw sockets.

mod abuse;
mod broken_connections;
mod client_transactions;
mod logs;
mod registration;
mod server_transactions;
mod support;
mod tls;
mod torture;
