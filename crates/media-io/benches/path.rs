//! What the kernel takes for one packet of a listener, over loopback, in the ways it can be asked.
//!
//! | microseconds a packet, on two cores of a virtual AMD EPYC, Linux 6.18 | fastest | median |
//! |---|---:|---:|
//! | send from a socket each | 2.8 | 2.8 |
//! | send from a connected socket each | 2.4 | 2.4 |
//! | send from one socket | 2.8 | 2.8 |
//! | send from one socket, all packets with one `sendmmsg` | 2.3 | 2.9 |
//! | receive from a socket each, `recvmsg` | 0.7 | 0.8 |
//! | receive from a socket each, and ask whether there is more | 1.0 | 1.0 |
//! | receive from a socket each, `recvmmsg` with room for one | 0.9 | 0.9 |
//! | receive from a socket each, `recvmmsg` with room for four | 1.0 | 1.1 |
//! | ask an empty socket | 0.3 | 0.4 |
//!
//! So it was decided:
//! * Each leg has a socket of its own. With a shared port a packet can only be told by its source, and phones behind address
//!   translation, or those that send from another port than they named, have a source nobody knows before their first
//!   packet (see the latching rule of crate `media`). They would not be heard. For legs' own ports `sendmmsg` is of no use,
//!   and where it is, it saves the entry into the kernel alone, a sixth at best; the way through the network stack remains.
//!   That entry is also all that io_uring could save, which many containers forbid; so it was not tried. GSO is for many
//!   packets to one peer, which a listener never gets.
//! * The socket is connected as soon as nobody but its peer could be believed: the kernel need not look for the way again.
//!   What strangers send is refused from then on and not counted; it would have been rejected. `legs.rs` says when it is
//!   freed.
//! * A socket is read with `recvmsg`, and asked again only when something tells of a further packet. To be told by epoll
//!   which sockets have one would be a system call more for nearly each of them.
//!
//!     cargo bench -p media-io --bench path

#![allow(unsafe_code, reason = "system calls that the standard library lacks")]

use std::mem::MaybeUninit;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use divan::Bencher;
use divan::counter::ItemsCount;

const LEGS: usize = 200;
const PACKET: [u8; 112] = [0x80; 112];
const DATAGRAM_MAX: usize = 2_048;

fn main() {
    divan::main();
}

struct Sockets {
    ours: Vec<UdpSocket>,
    theirs: Vec<UdpSocket>,
}

impl Sockets {
    fn open() -> Self {
        let open = || {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
            socket.set_nonblocking(true).expect("an option");
            socket
        };
        Self { ours: (0..LEGS).map(|_| open()).collect(), theirs: (0..LEGS).map(|_| open()).collect() }
    }

    fn addresses(sockets: &[UdpSocket]) -> Vec<SocketAddr> {
        sockets.iter().map(|socket| socket.local_addr().expect("bound")).collect()
    }

    /// Sends a packet to each of ours.
    fn fill(&self, to: &[SocketAddr]) {
        for (socket, to) in self.theirs.iter().zip(to) {
            let _ = socket.send_to(&PACKET, to);
        }
    }
}

fn drain(sockets: &[UdpSocket]) {
    let mut packet = [0; DATAGRAM_MAX];
    sockets.iter().for_each(|socket| while socket.recv(&mut packet).is_ok() {});
}

#[divan::bench]
fn send_from_a_socket_each(bencher: Bencher<'_, '_>) {
    let sockets = Sockets::open();
    let to = Sockets::addresses(&sockets.theirs);
    bencher.counter(ItemsCount::new(LEGS)).with_inputs(|| drain(&sockets.theirs)).bench_local_values(|()| {
        for (socket, to) in sockets.ours.iter().zip(&to) {
            let _ = socket.send_to(&PACKET, to);
        }
    });
}

#[divan::bench]
fn send_from_a_connected_socket_each(bencher: Bencher<'_, '_>) {
    let sockets = Sockets::open();
    for (socket, to) in sockets.ours.iter().zip(Sockets::addresses(&sockets.theirs)) {
        socket.connect(to).expect("UDP connects");
    }
    bencher.counter(ItemsCount::new(LEGS)).with_inputs(|| drain(&sockets.theirs)).bench_local_values(|()| {
        for socket in &sockets.ours {
            let _ = socket.send(&PACKET);
        }
    });
}

#[divan::bench]
fn send_from_one_socket(bencher: Bencher<'_, '_>) {
    let sockets = Sockets::open();
    let to = Sockets::addresses(&sockets.theirs);
    bencher.counter(ItemsCount::new(LEGS)).with_inputs(|| drain(&sockets.theirs)).bench_local_values(|()| {
        for to in &to {
            let _ = sockets.ours[0].send_to(&PACKET, to);
        }
    });
}

/// All packets with one system call.
#[divan::bench]
fn send_from_one_socket_in_a_batch(bencher: Bencher<'_, '_>) {
    let sockets = Sockets::open();
    let mut to: Vec<_> = Sockets::addresses(&sockets.theirs).into_iter().map(socket2::SockAddr::from).collect();
    let mut part = libc::iovec { iov_base: PACKET.as_ptr().cast_mut().cast(), iov_len: PACKET.len() };
    let mut messages: Vec<_> =
        to.iter_mut().map(|to| message(to.as_ptr().cast_mut().cast(), to.len(), &mut part)).collect();
    bencher.counter(ItemsCount::new(LEGS)).with_inputs(|| drain(&sockets.theirs)).bench_local_values(|()| {
        // SAFETY: all pointers in the messages point to what outlives the call; nothing is written to.
        unsafe { libc::sendmmsg(sockets.ours[0].as_raw_fd(), messages.as_mut_ptr(), LEGS as libc::c_uint, 0) };
    });
}

/// `recvmsg`, with room for the sender.
#[divan::bench]
fn receive_from_a_socket_each(bencher: Bencher<'_, '_>) {
    let sockets = Sockets::open();
    let to = Sockets::addresses(&sockets.ours);
    bencher.counter(ItemsCount::new(LEGS)).with_inputs(|| sockets.fill(&to)).bench_local_values(|()| {
        let mut packet = [0; DATAGRAM_MAX];
        for socket in &sockets.ours {
            let _ = socket.recv_from(&mut packet);
        }
    });
}

/// The same, and once more, to know that there is no further one.
#[divan::bench]
fn receive_from_a_socket_each_and_ask_again(bencher: Bencher<'_, '_>) {
    let sockets = Sockets::open();
    let to = Sockets::addresses(&sockets.ours);
    bencher.counter(ItemsCount::new(LEGS)).with_inputs(|| sockets.fill(&to)).bench_local_values(|()| {
        let mut packet = [0; DATAGRAM_MAX];
        for socket in &sockets.ours {
            while socket.recv_from(&mut packet).is_ok() {}
        }
    });
}

/// `recvmmsg` with room for so many datagrams, of which one is there.
#[divan::bench(args = [1, 4])]
fn receive_from_a_socket_each_in_a_batch(bencher: Bencher<'_, '_>, room: usize) {
    let sockets = Sockets::open();
    let to = Sockets::addresses(&sockets.ours);
    let mut buffers = vec![[0_u8; DATAGRAM_MAX]; room];
    bencher.counter(ItemsCount::new(LEGS)).with_inputs(|| sockets.fill(&to)).bench_local_values(|()| {
        for socket in &sockets.ours {
            let mut sources = [const { MaybeUninit::<libc::sockaddr_storage>::uninit() }; 4];
            let part = |buffer: &mut [u8; DATAGRAM_MAX]| libc::iovec {
                iov_base: buffer.as_mut_ptr().cast(),
                iov_len: DATAGRAM_MAX,
            };
            let mut parts: [_; 4] = std::array::from_fn(|at| part(&mut buffers[at.min(room - 1)]));
            let length = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            let mut messages: [_; 4] =
                std::array::from_fn(|at| message(sources[at].as_mut_ptr().cast(), length, &mut parts[at]));
            // SAFETY: all pointers in the first `room` messages point to live, writable memory of the lengths given with them.
            unsafe {
                libc::recvmmsg(
                    socket.as_raw_fd(),
                    messages.as_mut_ptr(),
                    room as libc::c_uint,
                    libc::MSG_DONTWAIT,
                    std::ptr::null_mut(),
                )
            };
        }
    });
}

#[divan::bench]
fn ask_an_empty_socket_each(bencher: Bencher<'_, '_>) {
    let sockets = Sockets::open();
    bencher.counter(ItemsCount::new(LEGS)).bench_local(|| {
        let mut packet = [0; DATAGRAM_MAX];
        for socket in &sockets.ours {
            let _ = socket.recv_from(&mut packet);
        }
    });
}

/// A datagram of one part; the pointers are kept, not followed.
fn message(name: *mut libc::c_void, length: libc::socklen_t, part: &mut libc::iovec) -> libc::mmsghdr {
    // SAFETY: it is a plain structure of numbers and pointers, for which zero is a valid value.
    let mut message: libc::mmsghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_hdr.msg_name = name;
    message.msg_hdr.msg_namelen = length;
    message.msg_hdr.msg_iov = part;
    message.msg_hdr.msg_iovlen = 1;
    message
}
