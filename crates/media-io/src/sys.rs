//! System calls that the standard library lacks, each behind a safe function. The only unsafe code of the crate.
#![allow(unsafe_code, reason = "system calls; each block says why it is sound")]

use std::io;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// Datagrams read with one call.
pub(crate) const BATCH: usize = 16;
/// The largest datagram that can be media.
pub(crate) const DATAGRAM_MAX: usize = 2_048;

/// Answers the new file descriptor of a system call.
fn owned(result: libc::c_int) -> io::Result<OwnedFd> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call that answered `result` has just opened it and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(result) })
}

fn checked(result: libc::c_int) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// Raises the process's limit of open files to what it may have, and answers that number. Two sockets serve one leg,
/// so the usual soft limit of 1,024 would end at 500 legs.
pub(crate) fn raise_descriptor_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is writable and outlives the call.
    checked(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is readable and outlives the call.
    checked(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })?;
    Ok(limit.rlim_cur)
}

/// A bell that other threads ring to wake a worker.
#[derive(Debug)]
pub(crate) struct Bell(OwnedFd);

impl Bell {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: takes no pointer.
        owned(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) }).map(Self)
    }

    /// Wakes the worker, now or when it next waits.
    pub(crate) fn ring(&self) {
        let one = 1_u64.to_ne_bytes();
        // SAFETY: the descriptor is open as long as `self`, and `one` is readable for its length. The call fails only
        // when the counter is full, and then the bell rings already.
        unsafe { libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    /// Waits until the bell rings or the time is over, and silences it.
    pub(crate) fn wait(&self, timeout: Option<Duration>) {
        let mut poll = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let timeout = timeout.map(|timeout| libc::timespec {
            tv_sec: timeout.as_secs().try_into().unwrap_or(libc::time_t::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: `poll` is one valid entry; `timeout` is null or points to a value that outlives the call; a null
        // signal mask changes nothing.
        let rung = unsafe { libc::ppoll(&raw mut poll, 1, timeout, std::ptr::null()) };
        if rung > 0 {
            let mut count = [0_u8; 8];
            // SAFETY: `count` is writable for its length, and the descriptor is open as long as `self`.
            unsafe { libc::read(self.0.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
        }
    }
}

/// Tells which sockets have something to read.
#[derive(Debug)]
pub(crate) struct Epoll(OwnedFd);

impl Epoll {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: takes no pointer.
        owned(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) }).map(Self)
    }

    /// Watches a socket under a number of the caller's.
    pub(crate) fn add(&self, socket: &UdpSocket, token: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, socket.as_raw_fd(), token)
    }

    /// Stops watching a socket.
    pub(crate) fn remove(&self, socket: &UdpSocket) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, socket.as_raw_fd(), 0)
    }

    fn control(&self, operation: libc::c_int, fd: RawFd, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: token };
        // SAFETY: both descriptors are open as long as their owners, which are borrowed; `event` outlives the call.
        checked(unsafe { libc::epoll_ctl(self.0.as_raw_fd(), operation, fd, &raw mut event) }).map(|_| ())
    }

    /// Puts the numbers of sockets that can be read into `tokens`, without waiting; answers how many.
    pub(crate) fn ready(&self, tokens: &mut [u64; 256]) -> usize {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 256];
        let room = events.len() as libc::c_int;
        // SAFETY: `events` is writable for `room` entries.
        let result = unsafe { libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), room, 0) };
        let count = checked(result).unwrap_or(0);
        for (token, event) in tokens.iter_mut().zip(&events[..count]) {
            *token = event.u64;
        }
        count
    }
}

/// Room for one batch of datagrams, used again and again.
pub(crate) struct Inbox {
    buffers: Box<[[u8; DATAGRAM_MAX]; BATCH]>,
    /// Source and length of each datagram read last; the length is `None` when it was cut off.
    read: [Option<(SocketAddr, usize)>; BATCH],
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Self { buffers: Box::new([[0; DATAGRAM_MAX]; BATCH]), read: [None; BATCH] }
    }

    /// Reads up to [`BATCH`] datagrams without waiting; answers how many came.
    pub(crate) fn receive(&mut self, socket: &UdpSocket) -> usize {
        // SAFETY: these are plain structures of numbers and pointers, for which zero is a valid value.
        let mut sources: [libc::sockaddr_storage; BATCH] = unsafe { MaybeUninit::zeroed().assume_init() };
        // SAFETY: as above.
        let mut messages: [libc::mmsghdr; BATCH] = unsafe { MaybeUninit::zeroed().assume_init() };
        let mut parts = self
            .buffers
            .each_mut()
            .map(|buffer| libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() });
        for ((message, part), source) in messages.iter_mut().zip(&mut parts).zip(&mut sources) {
            message.msg_hdr.msg_iov = part;
            message.msg_hdr.msg_iovlen = 1;
            message.msg_hdr.msg_name = std::ptr::from_mut(source).cast();
            message.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        }
        let (fd, room, flags) = (socket.as_raw_fd(), BATCH as libc::c_uint, libc::MSG_DONTWAIT);
        // SAFETY: every message points to one part and one source, each part to one buffer of its length; all of them
        // live until after the call and are not touched through another reference meanwhile.
        let result = unsafe { libc::recvmmsg(fd, messages.as_mut_ptr(), room, flags, std::ptr::null_mut()) };
        let count = checked(result).unwrap_or(0);
        for ((read, message), source) in self.read.iter_mut().zip(&messages[..count]).zip(&sources) {
            let whole = message.msg_hdr.msg_flags & libc::MSG_TRUNC == 0;
            *read = address(source).filter(|_| whole).map(|source| (source, message.msg_len as usize));
        }
        count
    }

    /// The `at`th datagram read last, with its source; `None` when it was too large.
    pub(crate) fn datagram(&mut self, at: usize) -> Option<(SocketAddr, &mut [u8])> {
        let (source, length) = (*self.read.get(at)?)?;
        Some((source, self.buffers[at].get_mut(..length)?))
    }
}

fn address(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    let storage = std::ptr::from_ref(storage);
    // SAFETY: `sockaddr_storage` is large enough and aligned for every address family; the family says which one the
    // kernel has written there, and all bit patterns of both structures are valid.
    unsafe {
        match i32::from((*storage).ss_family) {
            libc::AF_INET => {
                let v4 = &*storage.cast::<libc::sockaddr_in>();
                let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
                Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
            }
            libc::AF_INET6 => {
                let v6 = &*storage.cast::<libc::sockaddr_in6>();
                let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
                Some(SocketAddrV6::new(ip, u16::from_be(v6.sin6_port), 0, v6.sin6_scope_id).into())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_of_datagrams_is_read_with_their_sources() -> io::Result<()> {
        for local in ["127.0.0.1:0", "[::1]:0"] {
            let (receiver, sender) = (UdpSocket::bind(local)?, UdpSocket::bind(local)?);
            receiver.set_nonblocking(true)?;
            let epoll = Epoll::new()?;
            epoll.add(&receiver, 77)?;
            assert_eq!(epoll.ready(&mut [0; 256]), 0);
            for length in [0, 1, DATAGRAM_MAX, DATAGRAM_MAX + 1] {
                sender.send_to(&vec![length as u8; length], receiver.local_addr()?)?;
            }
            let mut tokens = [0; 256];
            assert_eq!((epoll.ready(&mut tokens), tokens[0]), (1, 77));
            let mut inbox = Inbox::new();
            assert_eq!(inbox.receive(&receiver), 4);
            let lengths: Vec<_> = (0..4)
                .map(|at| {
                    inbox
                        .datagram(at)
                        .map(|(source, datagram)| (Some(source) == sender.local_addr().ok(), datagram.len()))
                })
                .collect();
            assert_eq!(lengths, [Some((true, 0)), Some((true, 1)), Some((true, DATAGRAM_MAX)), None]);
            assert_eq!(inbox.receive(&receiver), 0);
        }
        Ok(())
    }

    #[test]
    fn a_bell_rung_before_the_wait_is_heard() -> io::Result<()> {
        let bell = Bell::new()?;
        bell.ring();
        bell.ring();
        bell.wait(None);
        bell.wait(Some(Duration::ZERO));
        Ok(())
    }
}
