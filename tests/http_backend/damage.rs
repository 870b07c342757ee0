//! Requests that are cut short or have bits turned over: an answer or an error, never a panic.

use std::io::Write;

use gitr::repo::Environment;
use gitr::server::http::{Answer, Request, Site};

use super::{Case, cases, environment, fixtures};
use crate::support::Sandbox;

/// How many damaged forms of each request are tried, beside the cuts.
const FLIPS: usize = 60;

/// Keeps an answer.
#[derive(Default)]
struct Kept(Vec<u8>);

impl Answer for Kept {
    fn head(&mut self, headers: &[(String, String)]) -> std::io::Result<&mut (dyn Write + Send)> {
        for (name, value) in headers {
            writeln!(self.0, "{name}: {value}")?;
        }
        Ok(&mut self.0)
    }
}

#[test]
fn damaged_requests_do_no_harm() {
    let sandbox = Sandbox::new();
    let root = fixtures(&sandbox);
    let wanted = [
        "B/ls-refs-full",
        "C/inc-mixed-haves",
        "C/shallow-negotiate",
        "C/filter-combine_enc",
        "D/inc-detailed",
        "E/gzip",
    ];
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for case in cases().iter().filter(|case| wanted.contains(&case.name.as_str())) {
        let cuts = (0..case.body.len()).map(|end| case.body[..end].to_vec());
        let mut bodies: Vec<Vec<u8>> = cuts.step_by(3).collect();
        for _ in 0..FLIPS {
            let mut body = case.body.clone();
            for _ in 0..3 {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                let bit = usize::try_from(random % (body.len() as u64 * 8)).unwrap();
                body[bit / 8] ^= 1 << (bit % 8);
            }
            bodies.push(body);
        }
        for body in bodies {
            let answer = serve(case, &root, &body);
            assert!(answer.starts_with(b"Expires: ") || answer.starts_with(b"Status: "), "{}", case.name);
        }
    }
}

fn serve(case: &Case, root: &std::path::Path, body: &[u8]) -> Vec<u8> {
    let mut env = Environment::default();
    let variables = environment(case, root);
    for (name, value) in &variables {
        env.set(name.clone(), value.to_string());
    }
    let text = |name: &str| variables.get(name).cloned().unwrap_or_default();
    if let Some(protocol) = variables.get("HTTP_GIT_PROTOCOL") {
        env.set("GIT_PROTOCOL", protocol.to_string());
    }
    let request = Request {
        method: text("REQUEST_METHOD"),
        protocol: text("SERVER_PROTOCOL"),
        path: root.join(text("PATH_INFO").to_string().trim_start_matches('/')),
        query: text("QUERY_STRING"),
        content_type: text("CONTENT_TYPE"),
        content_encoding: text("HTTP_CONTENT_ENCODING"),
        ..Request::default()
    };
    let site = Site { env, ..Site::default() };
    let mut answer = Kept::default();
    let _outcome = site.serve(&request, &mut &body[..], &mut answer);
    answer.0
}
