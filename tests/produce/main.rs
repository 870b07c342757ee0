//! Packs that we make, judged by C git.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod repository;

use std::io::{self, Write};
use std::ops::ControlFlow;

use gitr::pack::Error;
use gitr::pack::enumerate::Enumerated;
use gitr::pack::produce::{Produced, Reuse, Settings, produce};
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
        reuse: Reuse::All,
        known: None,
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
fn deltas_are_found_within_the_depth() {
    for (hash, ofs_delta, depth) in [(Sha1, true, 3), (Sha1, false, 50), (Sha256, true, 50)] {
        let repository = Repository::with_history(hash, 60);
        let settings = Settings { ofs_delta, depth, ..settings(hash) };
        let (pack, produced) = pack(&repository.read(), repository.enumerate(&["--all"]), &settings);
        assert!(produced.deltas > 100);
        assert_eq!(produced.reused, 0);
        let receiver = Repository::new(hash);
        receiver.index(&pack);
        assert_eq!(receiver.listing(), repository.listing());
        let (longest, deltas) = receiver.chains();
        assert!(longest <= depth);
        assert_eq!(deltas, produced.deltas as usize);
        let of_git = repository.git(&["pack-objects", "--all", "--stdout", "-q", "--delta-base-offset"], b"");
        assert!(
            !ofs_delta || depth < 50 || pack.len() <= of_git.len() * 102 / 100,
            "{} {}",
            pack.len(),
            of_git.len()
        );
    }
}

#[test]
fn new_deltas_on_top_of_reused_ones_stay_within_the_depth() {
    let repository = Repository::new(Sha1);
    let stream = history(60);
    repository.import_packed(&stream);
    let memory = repository.read();
    for depth in [1, 2, 7] {
        let settings = Settings { depth, ..settings(Sha1) };
        let (pack, produced) = pack(&memory, repository.enumerate(&["--all"]), &settings);
        assert!(produced.deltas > produced.reused_deltas);
        let receiver = Repository::new(Sha1);
        receiver.index(&pack);
        assert_eq!(receiver.listing(), repository.listing());
        assert!(receiver.chains().0 <= depth);
    }
}

#[test]
fn a_thin_pack_is_based_on_what_the_receiver_has() {
    for hash in [Sha1, Sha256] {
        let repository = Repository::with_history(hash, 30);
        let objects = repository.enumerate(&["main", "^main~1"]);
        let (thin, produced) = pack(&repository.read(), objects.clone(), &settings(hash));
        assert!(produced.deltas >= 2);
        let whole = Enumerated { bases: Vec::new(), ..objects.clone() };
        let (whole, _) = pack(&repository.read(), whole, &settings(hash));
        assert!(thin.len() * 2 < whole.len());
        let receiver = Repository::new(hash);
        receiver.index(&repository.git(&["pack-objects", "--stdout", "--revs", "-q"], b"main~1\n"));
        receiver.index(&thin);
        receiver.git(&["update-ref", "refs/heads/main", &objects.objects[0].id.to_string()], b"");
        receiver.git(&["fsck", "--connectivity-only"], b"");
    }
}

#[test]
fn an_object_is_no_base_of_itself() {
    let repository = Repository::with_history(Sha1, 10);
    let mut objects = repository.enumerate(&["--all"]);
    objects.bases.clone_from(&objects.objects);
    let (pack, _) = pack(&repository.read(), objects, &settings(Sha1));
    let receiver = Repository::new(Sha1);
    receiver.index(&pack);
    assert_eq!(receiver.listing(), repository.listing());
}

#[test]
fn a_base_that_is_not_here_is_passed_over() {
    let repository = Repository::with_history(Sha1, 10);
    let mut objects = repository.enumerate(&["main", "^main~2"]);
    for base in &mut objects.bases {
        base.id = gix_hash::ObjectId::null(Sha1);
    }
    let (pack, produced) = pack(&repository.read(), objects, &settings(Sha1));
    assert_eq!(
        usize::try_from(produced.objects).unwrap(),
        repository.enumerate(&["main", "^main~2"]).objects.len()
    );
    Repository::new(Sha1).git(&["index-pack", "--stdin"], &pack);
}

#[test]
fn threads_and_memory_do_not_change_the_pack() {
    let repository = Repository::with_history(Sha1, 60);
    let (memory, objects) = (repository.read(), repository.enumerate(&["--all"]));
    let (expected, _) = pack(&memory, objects.clone(), &settings(Sha1));
    for (threads, delta_cache_bytes) in [(1, 1 << 20), (2, 0), (7, 1000), (0, 1 << 20)] {
        let settings = Settings { threads, delta_cache_bytes, ..settings(Sha1) };
        assert!(pack(&memory, objects.clone(), &settings).0 == expected, "{threads} {delta_cache_bytes}");
    }
}

#[test]
fn a_window_of_little_memory_finds_less() {
    let repository = Repository::with_history(Sha1, 40);
    let (memory, objects) = (repository.read(), repository.enumerate(&["--all"]));
    let mut last = 0;
    for window_memory_bytes in [0, 20_000, 1] {
        let settings = Settings { window_memory_bytes, ..settings(Sha1) };
        let (pack, _) = pack(&memory, objects.clone(), &settings);
        assert!(pack.len() >= last);
        last = pack.len();
        Repository::new(Sha1).index(&pack);
    }
}

#[test]
fn large_blobs_alike_are_deltas() {
    let mut memory = Memory::default();
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    };
    let mut content: Vec<u8> = (0..1 << 20).map(|_| next()).collect();
    let mut objects = Vec::new();
    for n in 0..12 {
        content.splice(n * 50_000..n * 50_000 + 100, [7; 200]);
        objects.push(memory.add(Sha1, content.clone()));
    }
    let objects = Enumerated { objects, ..Enumerated::default() };
    let (small, produced) = pack(&memory, objects.clone(), &settings(Sha1));
    assert_eq!(produced.deltas, 11);
    assert!(small.len() < (1 << 20) + (1 << 15));
    Repository::new(Sha1).git(&["index-pack", "--strict", "--stdin"], &small);
    // above the threshold nothing is tried
    let settings = Settings { big_file_threshold_bytes: 1 << 20, ..settings(Sha1) };
    assert_eq!(pack(&memory, objects, &settings).1.deltas, 0);
}

#[test]
fn thousands_of_small_trees_arrive() {
    let repository = Repository::new(Sha1);
    let mut stream = Vec::new();
    for n in 0..150 {
        writeln!(stream, "commit refs/heads/main\ncommitter A <a@example.com> {n} +0000\ndata 0").unwrap();
        for file in 0..60 {
            let content = n * file + 10_000;
            writeln!(stream, "M 100644 inline {}/{}/{file}\ndata 6\n{content}\n", n % 7, file % 13).unwrap();
        }
    }
    repository.import_packed(&stream);
    let mut memory = repository.read();
    memory.locations.clear();
    let (pack, produced) = pack(&memory, repository.enumerate(&["--all"]), &settings(Sha1));
    assert!(produced.objects > 5000);
    let of_git = repository
        .git(&["pack-objects", "--all", "--stdout", "-q", "--delta-base-offset", "--no-reuse-delta"], b"");
    assert!(pack.len() <= of_git.len() * 102 / 100, "{} {}", pack.len(), of_git.len());
    let receiver = Repository::new(Sha1);
    receiver.index(&pack);
    assert_eq!(receiver.listing(), repository.listing());
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
    let mut memory = Memory { whole_max: Some(100_000), ..Memory::default() };
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
fn a_big_object_that_is_shorter_than_it_says_is_an_error() {
    let mut memory = Memory::default();
    let object = memory.add(Sha1, vec![0; 200_000]);
    let objects = Enumerated { objects: vec![object], ..Enumerated::default() };
    let settings = Settings { big_file_threshold_bytes: 100, ..settings(Sha1) };
    let mut short = Memory::default();
    short.objects.insert(object.id, (object.kind, vec![0; 200_000]));
    short.streamed_max = Some(150_000);
    let result = produce(&short, objects, &settings, &mut io::sink(), &mut Discard);
    assert!(matches!(result, Err(Error::Unreadable { id, .. }) if id == object.id));
}

#[test]
fn a_missing_object_is_named() {
    let mut memory = Memory::default();
    let object = memory.add(Sha1, b"here".to_vec());
    let objects = Enumerated { objects: vec![object], ..Enumerated::default() };
    let error = produce(&Memory::default(), objects, &settings(Sha1), &mut io::sink(), &mut Discard);
    assert_eq!(error.unwrap_err().to_string(), format!("unable to read {}", object.id));
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

#[test]
fn the_search_is_told_of_where_there_is_one() {
    let mut memory = Memory::default();
    let text = |n: u32| (0..n).map(|line| format!("line {line}\n")).collect::<Vec<_>>().concat().into_bytes();
    // the last is too small to be searched for
    let objects = vec![memory.add(Sha1, text(100)), memory.add(Sha1, text(101)), memory.add(Sha1, text(2))];
    let lines = |settings: &Settings, objects: Enumerated| {
        let mut lines = Lines::default();
        produce(&memory, objects, settings, &mut io::sink(), &mut lines).unwrap();
        lines.0.retain(|line| !line.starts_with("Writing"));
        lines.0
    };
    let sent = Enumerated { objects: objects.clone(), ..Enumerated::default() };
    let counting = "Counting objects: 3, 0 bytes";
    let (note, compressing) = ("Delta compression using up to 2 threads", "Compressing objects: 2, 0 bytes");
    let total = "Total 3 (delta 1), reused 0 (delta 0), pack-reused 0 (from 0)";
    assert_eq!(lines(&settings(Sha1), sent.clone()), [counting, note, compressing, total]);
    let one_thread = Settings { threads: 1, ..settings(Sha1) };
    assert_eq!(lines(&one_thread, sent.clone()), [counting, compressing, total]);
    let total = "Total 3 (delta 0), reused 0 (delta 0), pack-reused 0 (from 0)";
    for settings in [Settings { window: 0, ..settings(Sha1) }, Settings { depth: 0, ..settings(Sha1) }] {
        assert_eq!(lines(&settings, sent.clone()), [counting, total]);
    }
    // bases are counted, and make a search of one object worth it
    let (sent, bases) = (objects[1..].to_vec(), objects[..1].to_vec());
    let thin = Enumerated { objects: sent, bases, ..Enumerated::default() };
    let total = "Total 2 (delta 1), reused 0 (delta 0), pack-reused 0 (from 0)";
    let compressing = "Compressing objects: 1, 0 bytes";
    assert_eq!(lines(&settings(Sha1), thin), [counting, note, compressing, total]);
}
