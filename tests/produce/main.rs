//! Packs that we make, judged by C git.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod repository;

use std::io::{self, Write};
use std::ops::ControlFlow;

use gitr::pack::Error;
use gitr::pack::enumerate::Enumerated;
use gitr::pack::produce::{Produced, Settings, produce};
use gitr::progress::{Discard, Event, Progress};
use gix_hash::Kind::{Sha1, Sha256};
use repository::{Memory, Repository, history};

fn settings(hash: gix_hash::Kind) -> Settings {
    Settings {
        object_hash: hash,
        window: 10,
        depth: 50,
        window_memory_bytes: 0,
        compression: -1,
        ofs_delta: true,
        big_file_threshold_bytes: 512 * 1024 * 1024,
        threads: 2,
        delta_cache_bytes: 256 * 1024 * 1024,
    }
}

/// Makes a pack and sees that what is told of it is true.
fn pack(source: &Memory, objects: Enumerated, settings: &Settings) -> (Vec<u8>, Produced) {
    let mut out = Vec::new();
    let produced = produce(source, objects, settings, &mut out, &mut Discard).unwrap();
    assert_eq!(produced.bytes, out.len() as u64);
    assert!(out.ends_with(produced.pack_id.as_slice()));
    (out, produced)
}

/// Records the lines of events as git would show them at their end.
#[derive(Default)]
struct Lines(Vec<String>);

impl Progress for Lines {
    fn report(&mut self, event: Event<'_>) -> ControlFlow<()> {
        match event {
            Event::PhaseEnd { title, done, total, bytes } => {
                assert_eq!(total, Some(done));
                self.0.push(format!("{title}: {done}, {bytes} bytes"));
            }
            Event::Note(note) => self.0.push(note.to_owned()),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

#[test]
fn a_whole_history_arrives() {
    for hash in [Sha1, Sha256] {
        let repository = Repository::with_history(hash, 30);
        let (pack, produced) = pack(&repository.read(), repository.enumerate(&["--all"]), &settings(hash));
        let receiver = Repository::new(hash);
        receiver.index(&pack);
        assert_eq!(receiver.listing(), repository.listing());
        assert_eq!(produced.objects as usize, repository.listing().lines().count());
    }
}

#[test]
fn deltas_on_disk_are_reused() {
    for (hash, ofs_delta) in [(Sha1, true), (Sha1, false), (Sha256, true), (Sha256, false)] {
        let repository = Repository::with_history(hash, 40);
        repository.git(&["repack", "-adfq", "--depth=20"], b"");
        let settings = Settings { ofs_delta, ..settings(hash) };
        let (pack, produced) = pack(&repository.read(), repository.enumerate(&["--all"]), &settings);
        assert_eq!(produced.reused, produced.objects);
        assert_eq!(
            (repository.chains().1, produced.reused_deltas),
            (produced.deltas as usize, produced.deltas)
        );
        let receiver = Repository::new(hash);
        receiver.index(&pack);
        assert_eq!(receiver.listing(), repository.listing());
        assert_eq!(receiver.chains(), repository.chains());
    }
}

#[test]
fn deltas_of_several_packs_are_reused_without_a_circle() {
    // the new is based on the old in one pack, the old on the new in the other
    let repository = Repository::new(Sha1);
    repository.import_packed(&history(40));
    let list = repository.listing();
    let ids: Vec<&str> = list.lines().map(|line| &line[..40]).collect();
    let base_name = repository.directory.path().join("objects/pack/pack");
    let arguments = ["pack-objects", "-q", "--no-reuse-delta", base_name.to_str().unwrap()];
    repository.git(&arguments, format!("{}\n", ids.join("\n")).as_bytes());
    let mut memory = repository.read();
    for (id, places) in &memory.places {
        assert_eq!(places.len(), 2);
        memory.locations.insert(*id, places[usize::from(id.as_slice()[0] % 2)]);
    }
    for depth in [0, 1, 5, 50] {
        let settings = Settings { depth, window: 0, ..settings(Sha1) };
        let (pack, produced) = pack(&memory, repository.enumerate(&["--all"]), &settings);
        let receiver = Repository::new(Sha1);
        receiver.index(&pack);
        assert_eq!(receiver.listing(), list);
        assert!(receiver.chains().0 <= depth);
        assert_eq!(produced.reused_deltas > 0, depth > 0);
    }
}

#[test]
fn deltas_to_what_the_receiver_has_are_reused() {
    let repository = Repository::new(Sha1);
    repository.import_packed(&history(40));
    for ofs_delta in [false, true] {
        let settings = Settings { window: 0, ofs_delta, ..settings(Sha1) };
        let objects = repository.enumerate(&["main", "^main~10"]);
        let (thin, produced) = pack(&repository.read(), objects.clone(), &settings);
        assert!(produced.reused_deltas > 10);
        let receiver = Repository::new(Sha1);
        receiver.index(&repository.git(&["pack-objects", "--stdout", "--revs", "-q"], b"main~10\n"));
        let (alone, _, _) = receiver.try_git(&["index-pack", "--stdin"], &thin);
        assert!(!alone, "the pack is thin");
        receiver.index(&thin);
        receiver.git(&["update-ref", "refs/heads/main", objects.objects[0].id.to_string().as_str()], b"");
        receiver.git(&["fsck", "--connectivity-only"], b"");
    }
}

#[test]
fn a_broken_entry_is_made_anew() {
    let repository = Repository::with_history(Sha1, 20);
    repository.git(&["repack", "-adfq"], b"");
    let mut memory = repository.read();
    let places = memory.locations.values().map(|location| (location.pack, location.offset));
    memory.broken = places.collect();
    let (pack, produced) = pack(&memory, repository.enumerate(&["--all"]), &settings(Sha1));
    assert_eq!((produced.reused, produced.reused_deltas), (0, 0));
    let receiver = Repository::new(Sha1);
    receiver.index(&pack);
    assert_eq!(receiver.listing(), repository.listing());
}

#[test]
fn an_empty_pack_is_a_pack() {
    for hash in [Sha1, Sha256] {
        let (pack, produced) = pack(&Memory::default(), Enumerated::default(), &settings(hash));
        assert_eq!(pack.len(), 12 + hash.len_in_bytes());
        assert_eq!(produced.objects, 0);
        Repository::new(hash).index(&pack);
    }
}

#[test]
fn small_and_large_blobs_arrive() {
    let big_file_threshold_bytes = 100_000;
    let settings = Settings { big_file_threshold_bytes, ..settings(Sha1) };
    let mut memory = Memory::default();
    let noise =
        |len: u32| (0..len).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect::<Vec<u8>>();
    let contents = [
        vec![],
        vec![0],
        vec![b'x'; 49],
        vec![7; 65_536],
        noise(99_999),
        noise(100_001),
        vec![1; 3 << 20],
        noise(65_536),
    ];
    let objects = contents.into_iter().map(|content| memory.add(Sha1, content)).collect();
    let (pack, _) = pack(&memory, Enumerated { objects, ..Enumerated::default() }, &settings);
    let receiver = Repository::new(Sha1);
    receiver.git(&["index-pack", "--strict", "--stdin"], &pack);
    for (id, (_, content)) in &memory.objects {
        assert_eq!(&receiver.git(&["cat-file", "blob", &id.to_string()], b""), content);
    }
}

#[test]
fn a_missing_object_is_named() {
    let mut memory = Memory::default();
    let object = memory.add(Sha1, b"here".to_vec());
    let objects = Enumerated { objects: vec![object], ..Enumerated::default() };
    let error = produce(&Memory::default(), objects, &settings(Sha1), &mut io::sink(), &mut Discard);
    assert_eq!(error.unwrap_err().to_string(), format!("missing blob object '{}'", object.id));
}

/// Takes so many bytes, then fails.
struct Gone(usize);

impl Write for Gone {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_receiver_that_goes_away_is_told_of() {
    let repository = Repository::with_history(Sha1, 5);
    let (memory, objects) = (repository.read(), repository.enumerate(&["--all"]));
    for len in [0, 12, 100] {
        let result = produce(&memory, objects.clone(), &settings(Sha1), &mut Gone(len), &mut Discard);
        assert!(matches!(result, Err(Error::Send(error)) if error.kind() == io::ErrorKind::BrokenPipe));
    }
}

/// Stops at the given event.
struct Stop(usize);

impl Progress for Stop {
    fn report(&mut self, _event: Event<'_>) -> ControlFlow<()> {
        match self.0.checked_sub(1) {
            Some(left) => {
                self.0 = left;
                ControlFlow::Continue(())
            }
            None => ControlFlow::Break(()),
        }
    }
}

#[test]
fn the_caller_can_stop_at_any_event() {
    let repository = Repository::with_history(Sha1, 5);
    let (memory, objects) = (repository.read(), repository.enumerate(&["--all"]));
    let mut completed = None;
    for events in 0..1000 {
        let mut stop = Stop(events);
        match produce(&memory, objects.clone(), &settings(Sha1), &mut io::sink(), &mut stop) {
            Err(Error::Interrupted) => {}
            Ok(_) => {
                completed = Some(events);
                break;
            }
            Err(other) => panic!("{other}"),
        }
    }
    // each of the phases has its events, and a line ends it
    assert!(completed.is_some_and(|events| events > 10));
}

#[test]
fn progress_is_told_in_gits_words() {
    let mut lines = Lines::default();
    produce(&Memory::default(), Enumerated::default(), &settings(Sha1), &mut io::sink(), &mut lines).unwrap();
    assert_eq!(lines.0, ["Total 0 (delta 0), reused 0 (delta 0), pack-reused 0 (from 0)"]);
    let mut memory = Memory::default();
    let objects =
        vec![memory.add(Sha1, b"content of fifty bytes or more, so that it would be tried".to_vec())];
    let mut lines = Lines::default();
    let objects = Enumerated { objects, ..Enumerated::default() };
    let produced = produce(&memory, objects, &settings(Sha1), &mut io::sink(), &mut lines).unwrap();
    assert_eq!(
        lines.0,
        [
            "Counting objects: 1, 0 bytes",
            &format!("Writing objects: 1, {} bytes", produced.bytes),
            "Total 1 (delta 0), reused 0 (delta 0), pack-reused 0 (from 0)"
        ]
    );
}
