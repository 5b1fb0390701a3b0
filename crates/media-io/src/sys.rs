//! System calls that the standard library lacks, each behind a safe function. The only unsafe code of the crate.
#![allow(unsafe_code, reason = "system calls; each block says why it is sound")]

use std::io;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

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

fn checked_length(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
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

/// Lets a socket that was connected exchange packets with everybody again. It keeps its port.
pub(crate) fn disconnect(socket: &UdpSocket) -> io::Result<()> {
    let nobody = libc::sockaddr { sa_family: libc::AF_UNSPEC as libc::sa_family_t, sa_data: [0; 14] };
    let length = size_of::<libc::sockaddr>() as libc::socklen_t;
    // SAFETY: `nobody` is readable for `length` bytes and outlives the call.
    checked(unsafe { libc::connect(socket.as_raw_fd(), &raw const nobody, length) }).map(|_| ())
}

/// Bytes that come into a cache of the processor at once.
const CACHE_LINE: usize = 64;

/// Has the processor fetch memory into its caches while it goes on with something else. Where no such instruction is
/// known, nothing happens.
pub(crate) fn prefetch(memory: *const u8, bytes: usize) {
    lines(memory, bytes).for_each(prefetch_line);
}

/// An address in each line that the memory touches.
fn lines(memory: *const u8, bytes: usize) -> impl Iterator<Item = *const u8> {
    let into_line = memory.addr() % CACHE_LINE;
    (0..into_line + bytes).step_by(CACHE_LINE).map(move |at| memory.wrapping_add(at))
}

#[cfg(target_arch = "x86_64")]
fn prefetch_line(memory: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a hint, which has no effect but on speed, and none at all where nothing can be read.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(memory.cast()) };
}

#[cfg(not(target_arch = "x86_64"))]
fn prefetch_line(_: *const u8) {}

/// Room for one datagram, used again and again.
pub(crate) struct Inbox {
    buffer: Box<[u8; DATAGRAM_MAX]>,
}

/// What a socket had.
pub(crate) enum Received<'a> {
    Nothing,
    /// A datagram that was cut off, and so is of no use.
    TooLarge,
    Datagram(Datagram<'a>),
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
        Self { buffer: Box::new([0; DATAGRAM_MAX]) }
    }

    /// Reads one datagram without waiting.
    pub(crate) fn receive(&mut self, socket: &UdpSocket) -> Received<'_> {
        let mut source = MaybeUninit::<libc::sockaddr_storage>::uninit();
        let mut control = MaybeUninit::<Control>::uninit();
        let mut part = libc::iovec { iov_base: self.buffer.as_mut_ptr().cast(), iov_len: self.buffer.len() };
        // SAFETY: it is a plain structure of numbers and pointers, for which zero is a valid value.
        let mut header: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        header.msg_name = source.as_mut_ptr().cast();
        header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = CONTROL as _;
        // SAFETY: all pointers in `header` point to live, writable memory of the lengths given with them.
        let mut ask =
            || checked_length(unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, libc::MSG_DONTWAIT) });
        // That a connected peer refused something we sent is told here once; there may be a datagram nevertheless.
        let length = ask().or_else(|error| if is_refusal(&error) { ask() } else { Err(error) });
        let Ok(length) = length else { return Received::Nothing };
        // SAFETY: the kernel has written `msg_namelen` bytes of the address.
        let source = unsafe { address(&source, header.msg_namelen) };
        // SAFETY: as above; `msg_controllen` says how much of the control buffer is.
        let arrived = unsafe { arrival(&header) };
        let whole = header.msg_flags & libc::MSG_TRUNC == 0;
        match (source.filter(|_| whole), self.buffer.get_mut(..length)) {
            (Some(source), Some(bytes)) => Received::Datagram(Datagram { source, arrived, bytes }),
            _ => Received::TooLarge,
        }
    }
}

/// Whether a peer that a socket is connected to has answered an earlier packet with "nobody listens here". It says nothing
/// about the call that is told of it, which may be repeated.
pub(crate) fn is_refusal(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionRefused
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

    /// Sender known, time plausible, length; `None` for a datagram that is too large.
    fn told(
        inbox: &mut Inbox,
        socket: &UdpSocket,
        from: SocketAddr,
        since: Duration,
    ) -> Option<Option<(bool, bool, usize)>> {
        match inbox.receive(socket) {
            Received::Nothing => None,
            Received::TooLarge => Some(None),
            Received::Datagram(datagram) => {
                let in_time = datagram.arrived.is_some_and(|at| at >= since && at <= system_time());
                Some(Some((datagram.source == from, in_time, datagram.bytes.len())))
            }
        }
    }

    #[test]
    fn datagrams_are_read_with_their_sources_and_times() -> io::Result<()> {
        for local in ["127.0.0.1:0", "[::1]:0"] {
            let (receiver, sender) = (UdpSocket::bind(local)?, UdpSocket::bind(local)?);
            receiver.set_nonblocking(true)?;
            let receiver = socket2::Socket::from(receiver);
            note_arrivals(&receiver)?;
            let receiver = UdpSocket::from(receiver);
            let (mut inbox, from, before) = (Inbox::new(), sender.local_addr()?, system_time());
            assert_eq!(told(&mut inbox, &receiver, from, before), None);
            for length in [0, 1, DATAGRAM_MAX, DATAGRAM_MAX + 1] {
                sender.send_to(&vec![length as u8; length], receiver.local_addr()?)?;
            }
            let read: Vec<_> = std::iter::from_fn(|| told(&mut inbox, &receiver, from, before)).collect();
            let whole = |length| Some((true, true, length));
            assert_eq!(read, [whole(0), whole(1), whole(DATAGRAM_MAX), None]);
        }
        Ok(())
    }

    #[test]
    fn a_refusal_hides_no_datagram() -> io::Result<()> {
        let ours = UdpSocket::bind("127.0.0.1:0")?;
        ours.set_nonblocking(true)?;
        let theirs = UdpSocket::bind("127.0.0.1:0")?;
        let peer = theirs.local_addr()?;
        ours.connect(peer)?;
        drop(theirs);
        // On loopback the refusal is there before the call returns.
        ours.send(b"into the void")?;
        let theirs = UdpSocket::bind(peer)?;
        theirs.send_to(b"here", ours.local_addr()?)?;
        assert!(told(&mut Inbox::new(), &ours, peer, Duration::ZERO).is_some());
        Ok(())
    }

    #[test]
    fn each_line_of_a_memory_is_fetched_and_no_other() {
        let numbers = |at: usize, bytes: usize| -> Vec<usize> {
            lines(std::ptr::without_provenance(at), bytes).map(|line| line.addr() / CACHE_LINE).collect()
        };
        let cases: [(usize, usize, &[usize]); 5] =
            [(64, 64, &[1]), (65, 64, &[1, 2]), (124, 4, &[1]), (124, 5, &[1, 2]), (128, 129, &[2, 3, 4])];
        for (at, bytes, wanted) in cases {
            assert_eq!(numbers(at, bytes), wanted, "{bytes} bytes at {at}");
        }
        // It is no access, so it may be anywhere.
        prefetch(std::ptr::null(), 4_096);
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
