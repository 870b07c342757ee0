//! Lists the refs of a remote: `cargo run --example ls_refs -- <url> [<prefix>...]`.
#![allow(clippy::print_stdout, reason = "this is a program, not the library")]

use std::error::Error;

use gitr::progress::Discard;
use gitr::remote::{RepoSettings, Session};
use gitr::repo::{Config, Environment};
use gitr::transport::{Options, Url};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, url, prefixes @ ..] = arguments.as_slice() else { return Err("usage: ls_refs <url>".into()) };
    let env = Environment::from_process();
    let config = Config::load(&env, &[], None)?;
    let settings = RepoSettings { config: &config, env: &env };
    let url = Url::parse(url.as_str().into())?;
    let mut session = Session::connect(&url, &settings, Options::default(), &[], &mut Discard)?;
    let prefixes: Vec<_> = prefixes.iter().map(|prefix| prefix.as_str().into()).collect();
    for reference in session.refs(&prefixes, &mut Discard)? {
        if let Some(id) = reference.id {
            println!("{id}\t{}", reference.name);
        }
    }
    Ok(session.close()?)
}
