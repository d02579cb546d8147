//! Statements must leave at once. sqlx 0.9.0 opens its connections with Nagle's algorithm on (its issue 4335, mended in what
//! comes after it): the end of a long statement waits up to 40 ms until the server has acknowledged the beginning. Goes as
//! soon as sqlx sets the option itself.

use rustix::net::{getpeername, sockopt};
use std::{net::SocketAddr, os::fd::BorrowedFd};

/// Switches the algorithm off on every connection of this process to a port. Where the system does not list a process's
/// files, everything stays as it is, only slower.
pub(super) fn hurry(port: u16) {
    let files = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    for number in files.filter_map(|file| file.file_name().to_str()?.parse::<i32>().ok()) {
        hurry_one(number, port);
    }
}

#[expect(unsafe_code, reason = "sqlx gives no other access to the sockets that it opens")]
fn hurry_one(number: i32, port: u16) {
    // SAFETY: the number was listed a moment ago and is not kept. Should the file have been closed meanwhile, the calls below
    // fail; should another have taken its number, it is asked whom it leads to like any other.
    let socket = unsafe { BorrowedFd::borrow_raw(number) };
    let leads_there = getpeername(socket)
        .ok()
        .flatten()
        .and_then(|peer| SocketAddr::try_from(peer).ok())
        .is_some_and(|peer| peer.port() == port);
    if leads_there {
        let _ = sockopt::set_tcp_nodelay(socket, true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn connections_to_the_port_and_no_others_are_hurried() {
        let [one, other] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [to_one, to_other] = [&one, &other].map(|socket| TcpStream::connect(socket.local_addr().unwrap()).unwrap());
        assert!(!to_one.nodelay().unwrap());
        hurry(one.local_addr().unwrap().port());
        assert!(to_one.nodelay().unwrap());
        assert!(!to_other.nodelay().unwrap());
    }
}
