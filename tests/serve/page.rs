//! The page for people, as a browser shows it.

use bstr::ByteSlice as _;

use crate::client::get;
use crate::support::servers::serve::GitrServe;
use crate::support::{Format, Run, Sandbox, build};
use crate::{served, support};

#[test]
fn a_browser_shows_what_is_served() {
    let Some(browser) = support::find_program("chromium") else { return support::missing("chromium") };
    let sandbox = Sandbox::new();
    for name in ["project.git", "deep/<img src=x onerror=document.title=1>.git"] {
        build::project(&sandbox, &sandbox.path("served").join(name), Format::Sha1, 3);
    }
    let server = GitrServe::start(&sandbox, &["--status-page"]);
    let url = format!("http://127.0.0.1:{}/", server.process.port);
    let mut command = sandbox.command(browser);
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--dump-dom"]);
    let profile = format!("--user-data-dir={}", sandbox.path("profile").display());
    let shown = Run::of(command.arg(profile).arg(&url)).success();
    let shown = shown.stdout.to_str_lossy();
    assert!(shown.contains(&format!("git clone {url}project.git</code>")), "{shown}");
    assert!(shown.contains("&lt;img src=x onerror=document.title=1&gt;.git</td>"), "{shown}");
    assert!(!shown.contains("<img") && shown.contains("<title>repositories</title>"), "{shown}");
    assert!(shown.contains("<p id=\"health\">all is well</p>"), "{shown}");
    let clone = sandbox.path("clone");
    let address = shown.split("git clone ").nth(2).unwrap().split('<').next().unwrap().to_owned();
    sandbox.git(&sandbox.path(""), &["clone", "-q", "--bare", &address, clone.to_str().unwrap()]).success();
}

#[test]
fn there_is_a_page_where_it_is_asked_for() {
    let (sandbox, server) = served(&[]);
    assert_eq!(get(server.process.port, "/").status, 404);
    std::fs::write(sandbox.path("htpasswd"), "alice:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n").unwrap();
    let htpasswd = format!("--htpasswd={}", sandbox.path("htpasswd").display());
    let private = GitrServe::start(&sandbox, &["--status-page", &htpasswd, "--private"]);
    let page = get(private.process.port, "/");
    assert_eq!(page.status, 200);
    assert!(
        page.body.contains_str("No repository is served to you") && !page.body.contains_str("project"),
        "{page:?}"
    );
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    let head = "GET / HTTP/1.1\nAuthorization: Basic YWxpY2U6cGFzc3dvcmQ=";
    assert!(crate::client::ask(private.process.port, head, "").body.contains_str("project.git"));
    let unexported = GitrServe::start_bare(&sandbox, &["--status-page"]);
    assert!(!get(unexported.process.port, "/").body.contains_str("project"));
}
