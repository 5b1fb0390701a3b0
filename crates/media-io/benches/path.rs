//! What the kernel takes for one packet of a listener, over loopback, in the ways it can be asked.
//!
//! It shows why each leg has a socket of its own, asked once in a tick without epoll, and why each packet has its own
//! `sendto`:
//! * To be told by epoll which sockets have a packet, and to read 16 at once, took 1.3 us a packet; to ask each socket
//!   takes 0.45 us, and 0.15 us where there is nothing.
//! * Many packets by one `sendmmsg` gained nothing: the way through the network stack is ten times the entry into the
//!   kernel. So there is nothing for io_uring to gain either. GSO helps with many packets to one peer, which a listener
//!   never gets.
//! * One socket for many legs would save a quarter of the sending. But with a shared port a packet can only be told by its
//!   source, and phones behind address translation, or those that send from another port than they named, have a source
//!   nobody knows before their first packet (see the latching rule of crate `media`). They would not be heard.
//! * A connected socket saves as much, and takes packets of one source only. That suits plain RTP after latching, but
//!   hides injected packets from the count of those rejected. It is not used.
//!
//!     cargo bench -p media-io --bench path

use std::net::{SocketAddr, UdpSocket};

use divan::Bencher;
use divan::counter::ItemsCount;

const LEGS: usize = 200;
const PACKET: [u8; 112] = [0x80; 112];

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
}

fn drain(sockets: &[UdpSocket]) {
    let mut packet = [0; 2_048];
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
fn send_from_one_socket(bencher: Bencher<'_, '_>) {
    let sockets = Sockets::open();
    let to = Sockets::addresses(&sockets.theirs);
    bencher.counter(ItemsCount::new(LEGS)).with_inputs(|| drain(&sockets.theirs)).bench_local_values(|()| {
        for to in &to {
            let _ = sockets.ours[0].send_to(&PACKET, to);
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
fn receive_from_a_socket_each(bencher: Bencher<'_, '_>) {
    let sockets = Sockets::open();
    let to = Sockets::addresses(&sockets.ours);
    let fill = || {
        for (socket, to) in sockets.theirs.iter().zip(&to) {
            let _ = socket.send_to(&PACKET, to);
        }
    };
    bencher.counter(ItemsCount::new(LEGS)).with_inputs(fill).bench_local_values(|()| {
        let mut packet = [0; 2_048];
        for socket in &sockets.ours {
            let _ = socket.recv_from(&mut packet);
        }
    });
}

#[divan::bench]
fn ask_an_empty_socket_each(bencher: Bencher<'_, '_>) {
    let sockets = Sockets::open();
    bencher.counter(ItemsCount::new(LEGS)).bench_local(|| {
        let mut packet = [0; 2_048];
        for socket in &sockets.ours {
            let _ = socket.recv_from(&mut packet);
        }
    });
}
