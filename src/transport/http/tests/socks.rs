//! Proxies that listen on a socket of this machine.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixListener;

use super::server::{Reply, Server};
use super::*;

#[test]
fn a_proxy_may_listen_on_a_path() {
    let server = Server::start(|_| Reply::advertisement());
    let port = server.url.rsplit(':').next().unwrap().parse::<u16>().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(directory.path().join("50%.sock")).unwrap();
    let proxy = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut request = [0; 9];
        client.read_exact(&mut request).unwrap();
        client.write_all(&[0, 90, 0, 0, 0, 0, 0, 0]).unwrap();
        let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (mut input, mut output) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        std::thread::spawn(move || {
            std::io::copy(&mut input, &mut output).unwrap();
            output.shutdown(Shutdown::Write).unwrap();
        });
        std::io::copy(&mut &server, &mut client).unwrap();
        request
    });
    let settings =
        quiet().with("proxy", &format!("socks4://localhost{}/50%25.sock", directory.path().display()));
    drop(connect(&format!("{}/r", server.url), &settings).unwrap());
    let [high, low] = port.to_be_bytes();
    assert_eq!(proxy.join().unwrap(), [4, 1, high, low, 127, 0, 0, 1, 0]);
}

#[test]
fn a_path_is_for_socks_on_this_machine_alone() {
    let message = |proxy: &str| refusal("https://git.test/r", &quiet().with("proxy", proxy));
    // seen in git 2.47.3
    assert_eq!(
        message("localhost/path"),
        "Invalid proxy URL 'localhost/path': only SOCKS proxies support paths"
    );
    assert_eq!(
        message("socks4://me:secret@127.0.0.1/path"),
        "Invalid proxy URL 'socks4://127.0.0.1/path': host must be localhost if a path is present"
    );
}
