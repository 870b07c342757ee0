//! Who keeps a place among the clients of `gitr daemon` and who has to leave it, beside C git's daemon.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Instant;

use crate::daemon_options::{WITHIN, start};
use crate::serve_transport::server;
use crate::support::{Format, Git, Run, Sandbox, build};

/// What one read takes at most of a client that takes nothing.
const NARROW: usize = 4096;
/// Bytes of a pack that fit into no buffer between two processes.
const LARGE: usize = 12 << 20;

/// A connection from `127.0.0.<last>`.
fn connect(last: u8, port: u16) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(NARROW).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0)).into()).unwrap();
    socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(WITHIN)).unwrap();
    stream
}

fn packet(line: &str) -> String {
    format!("{:04x}{line}", line.len() + 4)
}

/// Whether an upload-pack answers to `path`.
fn is_served(stream: &mut TcpStream, path: &str) -> bool {
    let request = packet(&format!("git-upload-pack {path}\0host=x\0\0version=2\0"));
    stream.write_all(request.as_bytes()).is_ok() && stream.read(&mut [0]).is_ok_and(|count| count > 0)
}

#[test]
fn whoever_has_several_connections_gives_up_the_newest() {
    let sandbox = Sandbox::new();
    build::project(&sandbox, &sandbox.path("served/project.git"), Format::Sha1, 2);
    for git in [Git::reference(), server()] {
        let options = ["--base-path=SERVED", "--export-all", "--max-connections=2"];
        let process = start(&sandbox, git, &options);
        let mut first = connect(2, process.port);
        let mut second = connect(2, process.port);
        let mut other = connect(3, process.port);
        assert!(is_served(&mut other, "/project.git"), "{}", git.version);
        assert_eq!(second.read(&mut [0]).ok(), Some(0), "{}", git.version);
        assert!(is_served(&mut first, "/project.git"), "{}", git.version);
        let mut late = connect(4, process.port);
        assert!(!is_served(&mut late, "/project.git"), "each has but one in {}", git.version);
    }
}

#[test]
fn whoever_takes_nothing_keeps_no_place() {
    let sandbox = Sandbox::new();
    let repository = sandbox.path("served/project.git");
    build::project(&sandbox, &repository, Format::Sha1, 2);
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(LARGE)
    .collect();
    let mut command = sandbox.command(&Git::reference().program);
    command.current_dir(&repository).args(["hash-object", "-w", "--stdin"]);
    let blob = Run::with_input(&mut command, &noise).success().line();
    sandbox.git(&repository, &["tag", "large", &blob]).success();
    for git in [Git::reference(), server()] {
        let options = ["--base-path=SERVED", "--export-all", "--max-connections=1", "--timeout=1"];
        let process = start(&sandbox, git, &options);
        let mut idle = connect(2, process.port);
        // in version 2 C git's upload-pack has no such time
        let lines = [
            packet("git-upload-pack /project.git\0host=x\0"),
            packet(&format!("want {blob} side-band-64k\n")),
            "0000".to_owned(),
            packet("done\n"),
        ];
        idle.write_all(lines.concat().as_bytes()).unwrap();
        // it is being served, and takes no more
        idle.read_exact(&mut [0; 64]).unwrap();
        let begun = Instant::now();
        while !is_served(&mut connect(3, process.port), "/project.git") {
            assert!(begun.elapsed() < WITHIN, "there is no room in {}", git.version);
        }
        drop(idle);
    }
}

/// What is neither yes nor no serves nothing.
#[test]
fn a_service_whose_switch_makes_no_sense_is_off() {
    let sandbox = Sandbox::new();
    let repository = sandbox.path("served/project.git");
    build::project(&sandbox, &repository, Format::Sha1, 2);
    sandbox.git(&repository, &["config", "daemon.uploadpack", "flase"]).success();
    for git in [Git::reference(), server()] {
        let common = ["--base-path=SERVED", "--export-all"];
        let asked = |more: &[&str]| {
            let process = start(&sandbox, git, &[&common[..], more].concat());
            let url = format!("git://127.0.0.1:{}/project.git", process.port);
            sandbox.git(&sandbox.path(""), &["ls-remote", &url]).status
        };
        assert_eq!(asked(&[]), 128, "{}", git.version);
        assert_eq!(asked(&["--forbid-override=upload-pack"]), 0, "{}", git.version);
    }
}
