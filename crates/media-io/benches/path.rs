//! What the kernel takes for one packet of a listener, over loopback, in the ways it can be asked.
//!
//! It shows why there is one socket for each leg, asked without epoll, and one `sendto` for each packet: to send many
//! packets with one call (`sendmmsg`) saves the entry into the kernel, which is a twentieth of the way.
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
