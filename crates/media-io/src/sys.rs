//! System calls that the standard library lacks, each behind a safe function. The only unsafe code of the crate.
#![allow(unsafe_code, reason = "system calls; each block says why it is sound")]

use std::io;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// Datagrams read with one call. A leg has one in each tick; more come after a stall, and then the call is repeated.
pub(crate) const BATCH: usize = 4;
/// Room for what the kernel says about a datagram: the time of its arrival.
const CONTROL: usize = 64;
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

/// Lets the kernel note when each datagram arrives, so that sockets need not be looked at more often than once in a tick.
pub(crate) fn note_arrivals(socket: &socket2::Socket) -> io::Result<()> {
    let on: libc::c_int = 1;
    let (option, length) = (libc::SO_TIMESTAMPNS, size_of::<libc::c_int>() as libc::socklen_t);
    // SAFETY: `on` is readable for `length` bytes and outlives the call.
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, std::ptr::from_ref(&on).cast(), length)
    };
    checked(result).map(|_| ())
}

/// The system's clock, by which the kernel notes arrivals; it may be set at any time.
pub(crate) fn system_time() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
}

/// Room for one batch of datagrams, used again and again.
pub(crate) struct Inbox {
    buffers: Box<[[u8; DATAGRAM_MAX]; BATCH]>,
    read: [Option<Read>; BATCH],
}

/// A datagram that was read; there is none where it was cut off.
#[derive(Clone, Copy)]
struct Read {
    source: SocketAddr,
    length: usize,
    /// When it arrived, by the system's clock.
    arrived: Option<Duration>,
}

/// A datagram.
pub(crate) struct Datagram<'a> {
    pub(crate) source: SocketAddr,
    /// When it arrived, by the system's clock, if the kernel has noted it.
    pub(crate) arrived: Option<Duration>,
    pub(crate) bytes: &'a mut [u8],
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Self { buffers: Box::new([[0; DATAGRAM_MAX]; BATCH]), read: [None; BATCH] }
    }

    /// Reads up to [`BATCH`] datagrams without waiting; answers how many came.
    pub(crate) fn receive(&mut self, socket: &UdpSocket) -> usize {
        let mut sources = [const { MaybeUninit::<libc::sockaddr_storage>::uninit() }; BATCH];
        let mut controls = [const { MaybeUninit::<Control>::uninit() }; BATCH];
        // SAFETY: these are plain structures of numbers and pointers, for which zero is a valid value.
        let mut messages: [libc::mmsghdr; BATCH] = unsafe { MaybeUninit::zeroed().assume_init() };
        let mut parts = self
            .buffers
            .each_mut()
            .map(|buffer| libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() });
        for (at, message) in messages.iter_mut().enumerate() {
            message.msg_hdr.msg_iov = &raw mut parts[at];
            message.msg_hdr.msg_iovlen = 1;
            message.msg_hdr.msg_name = sources[at].as_mut_ptr().cast();
            message.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            message.msg_hdr.msg_control = controls[at].as_mut_ptr().cast();
            message.msg_hdr.msg_controllen = CONTROL;
        }
        let (fd, room, flags) = (socket.as_raw_fd(), BATCH as libc::c_uint, libc::MSG_DONTWAIT);
        // SAFETY: every message points to one part, one source and one control buffer of the lengths given, each part
        // to one buffer of its length; all of them live until after the call and are not touched through another
        // reference meanwhile.
        let result = unsafe { libc::recvmmsg(fd, messages.as_mut_ptr(), room, flags, std::ptr::null_mut()) };
        let count = checked(result).unwrap_or(0);
        for ((read, message), source) in self.read.iter_mut().zip(&messages[..count]).zip(&sources) {
            let whole = message.msg_hdr.msg_flags & libc::MSG_TRUNC == 0;
            // SAFETY: the kernel has filled this message, so that its source is initialised.
            let source = unsafe { address(source, message.msg_hdr.msg_namelen) };
            // SAFETY: as above; `msg_controllen` says how much of the control buffer is.
            let arrived = unsafe { arrival(&message.msg_hdr) };
            let length = message.msg_len as usize;
            *read = source.filter(|_| whole).map(|source| Read { source, length, arrived });
        }
        count
    }

    /// The `at`th datagram read last; `None` when it was too large.
    pub(crate) fn datagram(&mut self, at: usize) -> Option<Datagram<'_>> {
        let Read { source, length, arrived } = (*self.read.get(at)?)?;
        Some(Datagram { source, arrived, bytes: self.buffers[at].get_mut(..length)? })
    }
}

/// A control buffer, aligned as its header wants.
#[repr(C, align(8))]
struct Control([u8; CONTROL]);

/// The time of arrival among what the kernel said.
///
/// # Safety
/// `header` must be as the kernel left it, and its buffers must still be there.
unsafe fn arrival(header: &libc::msghdr) -> Option<Duration> {
    // SAFETY: the caller's promise; the macros stay inside `msg_controllen`.
    unsafe {
        let mut control = libc::CMSG_FIRSTHDR(header);
        while !control.is_null() {
            if (*control).cmsg_level == libc::SOL_SOCKET && (*control).cmsg_type == libc::SCM_TIMESTAMPNS {
                let time = libc::CMSG_DATA(control).cast::<libc::timespec>().read_unaligned();
                return Some(Duration::new(time.tv_sec.try_into().ok()?, time.tv_nsec.try_into().ok()?));
            }
            control = libc::CMSG_NXTHDR(header, control);
        }
    }
    None
}

/// The address in the first `length` bytes of `storage`.
///
/// # Safety
/// So many bytes must be initialised.
unsafe fn address(storage: &MaybeUninit<libc::sockaddr_storage>, length: libc::socklen_t) -> Option<SocketAddr> {
    let storage = storage.as_ptr();
    let length = length as usize;
    if length < size_of::<libc::sa_family_t>() {
        return None;
    }
    // SAFETY: the family stands at the beginning of every socket address and is initialised; each structure is read
    // only when it is initialised in its whole length, `sockaddr_storage` is aligned for all of them, and all bit
    // patterns are valid.
    unsafe {
        match i32::from(storage.cast::<libc::sa_family_t>().read()) {
            libc::AF_INET if length >= size_of::<libc::sockaddr_in>() => {
                let v4 = &*storage.cast::<libc::sockaddr_in>();
                let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
                Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
            }
            libc::AF_INET6 if length >= size_of::<libc::sockaddr_in6>() => {
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
    fn datagrams_are_read_with_their_sources_and_times() -> io::Result<()> {
        for local in ["127.0.0.1:0", "[::1]:0"] {
            let (receiver, sender) = (UdpSocket::bind(local)?, UdpSocket::bind(local)?);
            receiver.set_nonblocking(true)?;
            let receiver = socket2::Socket::from(receiver);
            note_arrivals(&receiver)?;
            let receiver = UdpSocket::from(receiver);
            let mut inbox = Inbox::new();
            assert_eq!(inbox.receive(&receiver), 0);
            let before = system_time();
            for length in [0, 1, DATAGRAM_MAX, DATAGRAM_MAX + 1] {
                sender.send_to(&vec![length as u8; length], receiver.local_addr()?)?;
            }
            assert_eq!(inbox.receive(&receiver), 4);
            let lengths: Vec<_> = (0..4)
                .map(|at| {
                    inbox.datagram(at).map(|datagram| {
                        let in_time = datagram.arrived.is_some_and(|at| at >= before && at <= system_time());
                        (Some(datagram.source) == sender.local_addr().ok(), in_time, datagram.bytes.len())
                    })
                })
                .collect();
            let whole = |length| Some((true, true, length));
            assert_eq!(lengths, [whole(0), whole(1), whole(DATAGRAM_MAX), None]);
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
