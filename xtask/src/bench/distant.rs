//! A fetch of nothing over HTTPS from a server that is far away.
//!
//! Apache with a private authority stands behind a relay that holds every byte back for half of [`ROUND_TRIP`], either way,
//! and the first of a connection for a whole one more, since the handshake of TCP does not pass through it.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use super::git::{git, hermetic};
use super::program::Program;
use super::report::say;
use super::{Bench, TURNS, allowed, is_wanted};

/// How far away the server is.
const ROUND_TRIP: Duration = Duration::from_millis(50);
/// Where Debian keeps Apache's modules.
pub(super) const MODULES: &str = "/usr/lib/apache2/modules";
/// Debian's number of the user `www-data`.
const WWW_DATA: u32 = 33;
/// How long Apache may take until it listens.
const START_WITHIN: Duration = Duration::from_secs(30);

impl Bench {
    /// Fetches nothing from far away, and prints a table of its own.
    pub(super) fn fetch_nothing_from_afar(&self) -> Result<()> {
        if !is_wanted("fetch nothing over HTTPS") {
            return Ok(());
        }
        if !Path::new(MODULES).exists() {
            println!("\nskipped: apache2 is not installed: no fetch over HTTPS");
            return Ok(());
        }
        let server = Server::start(&self.directory)?;
        let relay = Relay::start(server.port)?;
        let url = format!("https://localhost:{}/source.git", relay.port);
        let copy = self.fresh("far.git")?;
        git(&self.directory, &["clone", "-q", "--mirror", "source.git", &copy])?;
        let copy = self.directory.join(copy);
        git(&copy, &["config", "remote.origin.url", &url])?;
        say(&format!(
            "\n| fetch nothing over HTTPS, {} ms away | first byte s | wall s | connections | round trips |",
            ROUND_TRIP.as_millis()
        ));
        say("|---|---|---|---|---|");
        for version in ["HTTP/2", "HTTP/1.1"] {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for _ in 0..allowed(TURNS) {
                ours.push(self.fetch_once(Program::Gitr, version, &copy, &relay)?);
                theirs.push(self.fetch_once(Program::Git, version, &copy, &relay)?);
            }
            let cell = |number: usize, digits: usize| {
                let (ours, theirs) = (median(&ours, number), median(&theirs, number));
                format!("{ours:.digits$} / {theirs:.digits$} = {:.2}", ours / theirs.max(f64::MIN_POSITIVE))
            };
            say(&format!(
                "| {version} | {} | {} | {} | {} |",
                cell(0, 3),
                cell(1, 3),
                cell(2, 0),
                cell(3, 0)
            ));
        }
        Ok(())
    }

    /// Seconds to the first packet of the server and to the end, connections and round trips of one fetch.
    fn fetch_once(&self, program: Program, version: &str, copy: &Path, relay: &Relay) -> Result<[f64; 4]> {
        let trace = self.directory.join("packets");
        drop(fs::remove_file(&trace));
        let before = relay.counts();
        let mut command = Command::new(program.path());
        let version = format!("http.version={version}");
        hermetic(&mut command).args(["-c", &version, "fetch", "-q"]).current_dir(copy);
        command.env("GIT_TRACE_PACKET", &trace).env("TZ", "UTC");
        // these beat any configuration of the machine's
        command.env("GIT_SSL_CAINFO", self.directory.join("apache/ca.pem")).env("no_proxy", "*");
        let clock = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let begin = Instant::now();
        if !command.status()?.success() {
            bail!("a fetch over HTTPS failed");
        }
        let wall = begin.elapsed().as_secs_f64();
        let day = 86_400.0;
        let first = first_packet(&fs::read_to_string(&trace)?).context("nothing was received")?;
        let after = relay.counts();
        let first = (first - clock.as_secs_f64() % day).rem_euclid(day);
        Ok([first, wall, after.0 - before.0, after.1 - before.1])
    }
}

/// The time of day, in seconds, of the first packet that was read.
fn first_packet(trace: &str) -> Option<f64> {
    let line = trace.lines().find(|line| line.contains("< "))?;
    let mut parts = line.split(' ').next()?.split(':').map(str::parse::<f64>);
    let (hours, minutes, seconds) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    Some(hours * 3600.0 + minutes * 60.0 + seconds)
}

fn median(runs: &[[f64; 4]], number: usize) -> f64 {
    let mut values: Vec<f64> = runs.iter().filter_map(|run| run.get(number).copied()).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Apache behind TLS.
pub(super) struct Server {
    child: Child,
    pub(super) port: u16,
    /// The same without TLS.
    pub(super) plain_port: u16,
}

impl Server {
    pub(super) fn start(repositories: &Path) -> Result<Self> {
        let directory = repositories.join("apache");
        fs::create_dir_all(&directory)?;
        certify(&directory)?;
        std::os::unix::fs::chown(&directory, Some(WWW_DATA), Some(WWW_DATA)).ok();
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let plain_port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let config = directory.join("httpd.conf");
        fs::write(&config, configuration(&directory, repositories, (port, plain_port))?)?;
        let child =
            Command::new("apache2").arg("-f").arg(&config).arg("-DFOREGROUND").stderr(Stdio::null()).spawn();
        let server = Self { child: child.context("cannot run apache2")?, port, plain_port };
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if begin.elapsed() > START_WITHIN {
                bail!("apache2 does not start");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // it takes its own children with it only if it is asked
        drop(Command::new("kill").arg(self.child.id().to_string()).status());
        drop(self.child.wait());
    }
}

/// An authority and its certificate for `localhost`.
fn certify(directory: &Path) -> Result<()> {
    fs::write(directory.join("extension"), "subjectAltName=DNS:localhost\n")?;
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    for arguments in [
        format!("req -x509 {key} -days 2 -subj /CN=authority -keyout ca.key -out ca.pem"),
        format!("req {key} -subj /CN=localhost -keyout server.key -out server.csr"),
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile extension -out server.pem -days 2"
            .to_owned(),
    ] {
        let mut command = Command::new("openssl");
        command.current_dir(directory).args(arguments.split_whitespace()).stderr(Stdio::null());
        if !command.status().context("cannot run openssl")?.success() {
            bail!("'openssl {arguments}' failed");
        }
    }
    Ok(())
}

fn configuration(directory: &Path, served: &Path, (port, plain_port): (u16, u16)) -> Result<String> {
    let (here, served) = (directory.display(), served.display());
    let output = Command::new("git").arg("--exec-path").output().context("cannot run git")?;
    let programs = String::from_utf8(output.stdout)?;
    let mut text = format!(
        "ServerRoot {here}\nServerName localhost\nPidFile {here}/pid\nErrorLog {here}/error\nMutex file:{here}\n\
         Listen 127.0.0.1:{port}\nListen 127.0.0.1:{plain_port}\nUser #{WWW_DATA}\nGroup #{WWW_DATA}\n"
    );
    for name in ["mpm_event", "authz_core", "alias", "env", "cgid", "ssl", "http2"] {
        text.push_str(&format!("LoadModule {name}_module {MODULES}/mod_{name}.so\n"));
    }
    for (name, value) in [
        ("GIT_PROJECT_ROOT", &*served.to_string()),
        ("GIT_HTTP_EXPORT_ALL", "1"),
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "safe.directory"),
        ("GIT_CONFIG_VALUE_0", "*"),
    ] {
        text.push_str(&format!("SetEnv {name} \"{value}\"\n"));
    }
    text.push_str(&format!(
        "ScriptSock {here}/cgid\n<VirtualHost 127.0.0.1:{port}>\nSSLEngine on\nSSLCertificateFile {here}/server.pem\n\
         SSLCertificateKeyFile {here}/server.key\nProtocols h2 http/1.1\n</VirtualHost>\n\
         <Directory />\nRequire all granted\nOptions +ExecCGI\n</Directory>\nScriptAlias / {}/git-http-backend/\n",
        programs.trim()
    ));
    Ok(text)
}

/// Passes connections on, late, and counts them.
struct Relay {
    port: u16,
    connections: Arc<AtomicUsize>,
    turns: Arc<AtomicUsize>,
}

impl Relay {
    fn start(to: u16) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let relay = Self { port, connections: Arc::default(), turns: Arc::default() };
        let (connections, turns) = (Arc::clone(&relay.connections), Arc::clone(&relay.turns));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else { continue };
                connections.fetch_add(1, Ordering::SeqCst);
                // the handshake of TCP is a round trip as well
                turns.fetch_add(1, Ordering::SeqCst);
                let is_answered = Arc::new(AtomicBool::new(true));
                let (asked, turns) = (Arc::clone(&is_answered), Arc::clone(&turns));
                pass_late(&client, &server, ROUND_TRIP, move || {
                    if asked.swap(false, Ordering::SeqCst) {
                        turns.fetch_add(1, Ordering::SeqCst);
                    }
                });
                pass_late(&server, &client, Duration::ZERO, move || {
                    is_answered.store(true, Ordering::SeqCst);
                });
            }
        });
        Ok(relay)
    }

    /// Connections and round trips so far.
    #[expect(clippy::cast_precision_loss, reason = "no one counts that many")]
    fn counts(&self) -> (f64, f64) {
        (self.connections.load(Ordering::SeqCst) as f64, self.turns.load(Ordering::SeqCst) as f64)
    }
}

/// Copies from one socket to the other, each piece half of [`ROUND_TRIP`] late and all of them by `more`; tells of each.
fn pass_late(from: &TcpStream, to: &TcpStream, more: Duration, tell: impl Fn() + Send + 'static) {
    let (Ok(mut from), Ok(mut to)) = (from.try_clone(), to.try_clone()) else { return };
    let (sender, receiver) = mpsc::channel::<(Instant, Vec<u8>)>();
    drop(to.set_nodelay(true));
    std::thread::spawn(move || {
        let mut first = more;
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length) = from.read(&mut buffer) {
            let piece = buffer.get(..length).unwrap_or_default().to_vec();
            let is_end = piece.is_empty();
            tell_of(&piece, &tell);
            let due = Instant::now() + ROUND_TRIP / 2 + first;
            first = Duration::ZERO;
            if sender.send((due, piece)).is_err() || is_end {
                break;
            }
        }
    });
    std::thread::spawn(move || {
        for (due, piece) in receiver {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if piece.is_empty() || to.write_all(&piece).is_err() {
                break;
            }
        }
        // whoever is gone needs not to be told
        drop(to.shutdown(Shutdown::Write));
    });
}

fn tell_of(piece: &[u8], tell: &impl Fn()) {
    if !piece.is_empty() {
        tell();
    }
}
