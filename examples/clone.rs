//! Clones a repository as a program that embeds gitr would: `cargo run --example clone -- <url> <directory>`.
#![allow(clippy::print_stdout, reason = "this is a program, not the library")]

use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;

use gitr::progress::{Event, Progress};
use gitr::remote::clone::{Clone, Destination, Options};
use gitr::repo::Environment;

/// Prints a line for each phase that is complete.
struct Lines;

impl Progress for Lines {
    fn report(&mut self, event: Event<'_>) -> ControlFlow<()> {
        if let Event::PhaseEnd { title, done, .. } = event {
            println!("{title}: {done}");
        }
        ControlFlow::Continue(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, url, directory] = arguments.as_slice() else {
        return Err("usage: clone <url> <directory>".into());
    };
    let (options, environment) = (Options::default(), Environment::from_process());
    let destination = Destination::new(Path::new(directory), options.bare)?;
    let clone = Clone::new(url.as_str().into(), &destination, &options, &environment, &[])?;
    let cloned = clone.run(&mut Lines)?;
    cloned.checkout(&mut Lines)?;
    println!("cloned into {}", destination.directory().display());
    Ok(())
}
