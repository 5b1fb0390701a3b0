//! System calls that the standard library lacks, each behind a safe function. The only unsafe code of the crate.
#![allow(unsafe_code, reason = "system calls; each block says why it is sound")]

use std::io;
use std::mem::MaybeUninit;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Datagrams read with one call.
pub const BATCH: usize = 8;
/// The largest datagram that is looked at; a longer one is cut off.
pub const DATAGRAM_MAX: usize = 1_500;
/// Room for one control message with a time stamp.
const CONTROL_BYTES: usize = 64;

fn checked(result: libc::c_int) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// Raises the process's limit of open files to what it may have, and answers that number. One socket serves one caller.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is writable and outlives the call.
    checked(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is readable and outlives the call.
    checked(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })?;
    Ok(limit.rlim_cur)
}

/// Lets the kernel kill the command's child when the thread that starts it ends, however it ends (prctl(2)).
pub fn end_with_us(command: &mut Command) {
    let parent = std::process::id();
    let arrange = move || {
        // SAFETY: prctl takes numbers alone here.
        checked(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong) })?;
        // SAFETY: getppid has no preconditions. Whoever lost his parent already would never be told.
        let orphaned = unsafe { libc::getppid() }.cast_unsigned() != parent;
        if orphaned { Err(io::Error::from_raw_os_error(libc::ESRCH)) } else { Ok(()) }
    };
    // SAFETY: between fork and exec, `arrange` makes two system calls and neither allocates nor locks.
    unsafe { command.pre_exec(arrange) };
}

/// Kills a child of this process and waits until it is gone.
pub fn kill_child(pid: u32) {
    let pid = pid.cast_signed();
    // SAFETY: both take numbers, and waitpid no place for the status; a child that is gone already is told by an error.
    unsafe {
        libc::kill(pid, libc::SIGKILL);
        libc::waitpid(pid, std::ptr::null_mut(), 0);
    }
}

/// Asks the kernel to stamp each datagram with its arrival, so that a reader who comes late still knows when it came.
pub fn stamp_arrivals(socket: &UdpSocket) -> io::Result<()> {
    set_option(socket, libc::SO_TIMESTAMPNS, 1)
}

/// Asks for that much room for datagrams that were not read yet.
pub fn set_receive_buffer(socket: &UdpSocket, bytes: i32) -> io::Result<()> {
    set_option(socket, libc::SO_RCVBUF, bytes)
}

fn set_option(socket: &UdpSocket, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let size = size_of::<libc::c_int>() as libc::socklen_t;
    let value = std::ptr::from_ref(&value).cast();
    // SAFETY: the descriptor is open as long as the socket, and `value` points to an integer of that size.
    checked(unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, value, size) }).map(drop)
}

/// Waits until one of the sockets can be read or the time is over; the places of those that can.
pub fn wait_readable<S: AsRawFd>(sockets: &[&S], timeout: Duration) -> Vec<usize> {
    let watch = |socket: &&S| libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let mut polls: Vec<libc::pollfd> = sockets.iter().map(watch).collect();
    let timeout = libc::timespec {
        tv_sec: timeout.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    };
    // SAFETY: `polls` is writable for its length, its descriptors are open as long as the borrowed sockets, `timeout`
    // outlives the call, and a null signal mask changes nothing.
    let ready =
        unsafe { libc::ppoll(polls.as_mut_ptr(), polls.len() as libc::nfds_t, &raw const timeout, std::ptr::null()) };
    if ready <= 0 {
        return Vec::new();
    }
    polls.iter().enumerate().filter(|(_, poll)| poll.revents != 0).map(|(place, _)| place).collect()
}

/// Nanoseconds since 1970 by the clock the kernel stamps with.
pub fn wall_nanos() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// The processor time the calling thread has used, in seconds.
pub fn thread_cpu_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is writable and outlives the call.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Room for one batch of datagrams, used again and again.
pub struct Inbox {
    buffers: Box<[[u8; DATAGRAM_MAX]; BATCH]>,
    /// Length and arrival (see [`wall_nanos`]) of each datagram read last.
    read: [(usize, i64); BATCH],
}

impl Default for Inbox {
    fn default() -> Self {
        Self { buffers: Box::new([[0; DATAGRAM_MAX]; BATCH]), read: [(0, 0); BATCH] }
    }
}

/// A control buffer, aligned as the kernel writes it.
#[repr(align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL_BYTES]);

impl Inbox {
    /// Reads up to [`BATCH`] datagrams without waiting; answers how many came. Those without a stamp came at `now`.
    pub fn receive(&mut self, socket: &UdpSocket, now: i64) -> usize {
        let mut controls = [Control([0; CONTROL_BYTES]); BATCH];
        // SAFETY: these are plain structures of numbers and pointers, for which zero is a valid value.
        let mut messages: [libc::mmsghdr; BATCH] = unsafe { MaybeUninit::zeroed().assume_init() };
        let mut parts = self
            .buffers
            .each_mut()
            .map(|buffer| libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() });
        for ((message, part), control) in messages.iter_mut().zip(&mut parts).zip(&mut controls) {
            message.msg_hdr.msg_iov = part;
            message.msg_hdr.msg_iovlen = 1;
            message.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
            message.msg_hdr.msg_controllen = CONTROL_BYTES as _;
        }
        let (fd, room) = (socket.as_raw_fd(), BATCH as libc::c_uint);
        // SAFETY: every message points to one part and one control buffer, each part to one buffer of its length; all of
        // them live until after the call and are not touched through another reference meanwhile.
        let result =
            unsafe { libc::recvmmsg(fd, messages.as_mut_ptr(), room, libc::MSG_DONTWAIT, std::ptr::null_mut()) };
        let count = checked(result).unwrap_or(0);
        for (read, message) in self.read.iter_mut().zip(&messages[..count]) {
            *read = (message.msg_len as usize, stamp(&message.msg_hdr).unwrap_or(now));
        }
        count
    }

    /// The `at`th datagram read last and its arrival.
    pub fn datagram(&mut self, at: usize) -> (&mut [u8], i64) {
        let (length, arrival) = self.read[at];
        (&mut self.buffers[at][..length.min(DATAGRAM_MAX)], arrival)
    }
}

/// The kernel's time stamp among the control messages.
fn stamp(header: &libc::msghdr) -> Option<i64> {
    // SAFETY: `header` was filled in by the kernel and its control buffer is alive; the macros stay inside its length.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while !message.is_null() {
            if (*message).cmsg_level == libc::SOL_SOCKET && (*message).cmsg_type == libc::SCM_TIMESTAMPNS {
                let time: libc::timespec = std::ptr::read_unaligned(libc::CMSG_DATA(message).cast());
                return Some(time.tv_sec as i64 * 1_000_000_000 + time.tv_nsec as i64);
            }
            message = libc::CMSG_NXTHDR(header, message);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_come_with_their_arrival() -> io::Result<()> {
        let (receiver, sender) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
        stamp_arrivals(&receiver)?;
        set_receive_buffer(&receiver, 65_536)?;
        let before = wall_nanos();
        for length in [1_usize, 3] {
            sender.send_to(&vec![length as u8; length], receiver.local_addr()?)?;
        }
        let mut inbox = Inbox::default();
        assert_eq!(inbox.receive(&receiver, i64::MAX), 2);
        // The kernel stamps the very first datagrams when they are read, for it switches stamping on in the background.
        let after = wall_nanos();
        let (bytes, arrival) = inbox.datagram(1);
        assert_eq!(bytes, [3, 3, 3]);
        assert!((before..=after).contains(&arrival), "{before} {arrival} {after}");
        assert_eq!(inbox.receive(&receiver, 0), 0);
        Ok(())
    }
}
