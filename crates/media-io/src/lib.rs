//! UDP sockets, port leases with drain, pinned media workers.
