//! A repository that C git makes and judges, and the same read by the simplest [`Source`] there can be.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use gitr::pack::Bases;
use gitr::pack::entry::{Content, Header, PACK_HEADER_LEN};
use gitr::pack::enumerate::{Enumerated, Object};
use gitr::pack::source::{Commit, Location, Source, Stored};
use gix_hash::{ObjectId, oid};
use gix_object::Kind;
use tempfile::TempDir;

/// A bare repository in a directory of its own, driven by C git.
pub struct Repository {
    pub directory: TempDir,
    pub hash: gix_hash::Kind,
}

impl Repository {
    pub fn new(hash: gix_hash::Kind) -> Self {
        let repository = Self { directory: TempDir::new().unwrap(), hash };
        repository.git(&["init", "-q", "--bare", &format!("--object-format={hash}"), "."], b"");
        repository
    }

    /// A repository with the loose objects of [`history`].
    pub fn with_history(hash: gix_hash::Kind, commits: usize) -> Self {
        let repository = Self::new(hash);
        repository.import(&history(commits));
        repository
    }

    /// Makes loose objects of what `git fast-import` understands.
    pub fn import(&self, stream: &[u8]) {
        self.git(&["-c", "fastimport.unpackLimit=1000000", "fast-import", "--quiet"], stream);
    }

    /// Makes a pack of the same, in which an object is a delta to the one before it.
    pub fn import_packed(&self, stream: &[u8]) {
        self.git(&["-c", "fastimport.unpackLimit=0", "fast-import", "--quiet"], stream);
    }

    pub fn git(&self, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let (success, stdout, stderr) = self.try_git(arguments, input);
        assert!(success, "git {arguments:?}: {}", String::from_utf8_lossy(&stderr));
        stdout
    }

    #[expect(clippy::disallowed_methods, reason = "a test has no Environment")]
    pub fn try_git(&self, arguments: &[&str], input: &[u8]) -> (bool, Vec<u8>, Vec<u8>) {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(self.directory.path()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", self.directory.path());
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("LC_ALL", "C");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        // A git that fails may not read all of its input.
        let writer = std::thread::spawn(move || stdin.write_all(&input).is_ok());
        let output = child.wait_with_output().unwrap();
        let _all_read = writer.join().unwrap();
        (output.status.success(), output.stdout, output.stderr)
    }

    /// What `git cat-file` says of each object: its id, its kind and its size.
    pub fn listing(&self) -> String {
        let listing = self.git(&["cat-file", "--batch-check", "--batch-all-objects"], b"");
        String::from_utf8(listing).unwrap()
    }

    /// Takes `pack` in, as a server would, and has all objects checked.
    pub fn index(&self, pack: &[u8]) {
        self.git(&["index-pack", "--strict", "--fix-thin", "--stdin"], pack);
        self.git(&["fsck", "--full", "--strict", "--no-dangling"], b"");
    }

    /// The longest chain of deltas in all packs, and how many deltas there are.
    pub fn chains(&self) -> (usize, usize) {
        let (mut longest, mut deltas) = (0, 0);
        for index in self.indices() {
            let shown = self.git(&["verify-pack", "-v", index.to_str().unwrap()], b"");
            for line in String::from_utf8(shown).unwrap().lines() {
                // id kind size size-in-pack offset depth base
                let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
                if words.len() == 7 && words[0].len() == self.hash.len_in_hex() {
                    longest = longest.max(words[5].parse().unwrap());
                    deltas += 1;
                }
            }
        }
        (longest, deltas)
    }

    fn indices(&self) -> Vec<PathBuf> {
        let packs = fs::read_dir(self.directory.path().join("objects/pack")).unwrap();
        let mut indices: Vec<PathBuf> = packs.map(|entry| entry.unwrap().path()).collect();
        indices.retain(|path| path.extension().is_some_and(|extension| extension == "idx"));
        indices.sort();
        indices
    }

    /// What is to be sent for the revisions `arguments`; with the trees and blobs of boundary commits as bases.
    pub fn enumerate(&self, arguments: &[&str]) -> Enumerated {
        let mut all = vec!["rev-list", "--objects-edge"];
        all.extend(arguments);
        let listing = String::from_utf8(self.git(&all, b"")).unwrap();
        let mut enumerated = Enumerated::default();
        let kinds = self.kinds();
        for line in listing.lines() {
            if let Some(commit) = line.strip_prefix('-') {
                self.add_tree(commit, &mut enumerated.bases);
                continue;
            }
            let (id, path) = line.split_once(' ').unwrap_or((line, ""));
            let id = ObjectId::from_hex(id.as_bytes()).unwrap();
            enumerated.objects.push(Object { id, kind: kinds[&id], name_hash: name_hash(path) });
        }
        enumerated
    }

    fn add_tree(&self, commit: &str, bases: &mut Vec<Object>) {
        let tree = self.git(&["rev-parse", &format!("{commit}^{{tree}}")], b"");
        let id = ObjectId::from_hex(tree.trim_ascii_end()).unwrap();
        bases.push(Object { id, kind: Kind::Tree, name_hash: 0 });
        let listing = String::from_utf8(self.git(&["ls-tree", "-r", "-t", commit], b"")).unwrap();
        for line in listing.lines() {
            let (entry, path) = line.split_once('\t').unwrap();
            let words: Vec<&str> = entry.split(' ').collect();
            let kind = if words[1] == "tree" { Kind::Tree } else { Kind::Blob };
            let id = ObjectId::from_hex(words[2].as_bytes()).unwrap();
            bases.push(Object { id, kind, name_hash: name_hash(path) });
        }
    }

    fn kinds(&self) -> HashMap<ObjectId, Kind> {
        let lines = self.listing();
        let lines = lines.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        lines
            .map(|words| {
                let id = ObjectId::from_hex(words[0].as_bytes()).unwrap();
                (id, Kind::from_bytes(words[1].as_bytes()).unwrap())
            })
            .collect()
    }

    /// Reads all there is into memory.
    pub fn read(&self) -> Memory {
        let mut memory = Memory::default();
        let ids: Vec<String> = self.kinds().keys().map(ToString::to_string).collect();
        let batch = self.git(&["cat-file", "--batch"], format!("{}\n", ids.join("\n")).as_bytes());
        let mut rest = &batch[..];
        while !rest.is_empty() {
            let end = rest.iter().position(|byte| *byte == b'\n').unwrap();
            let line = std::str::from_utf8(&rest[..end]).unwrap();
            let words: Vec<&str> = line.split(' ').collect();
            let size: usize = words[2].parse().unwrap();
            let content = rest[end + 1..end + 1 + size].to_vec();
            let id = ObjectId::from_hex(words[0].as_bytes()).unwrap();
            memory.objects.insert(id, (Kind::from_bytes(words[1].as_bytes()).unwrap(), content));
            rest = &rest[end + 2 + size..];
        }
        for index in self.indices() {
            self.read_pack(&index, &mut memory);
        }
        memory
    }

    fn read_pack(&self, index: &PathBuf, memory: &mut Memory) {
        let shown =
            self.git(&["show-index", &format!("--object-format={}", self.hash)], &fs::read(index).unwrap());
        let pack = fs::read(index.with_extension("pack")).unwrap();
        let number = u32::try_from(memory.packs.len()).unwrap();
        let mut entries = Vec::new();
        for line in String::from_utf8(shown).unwrap().lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let offset: usize = words[0].parse().unwrap();
            entries.push((offset, ObjectId::from_hex(words[1].as_bytes()).unwrap()));
        }
        entries.sort();
        let ends = entries.iter().skip(1).map(|(offset, _)| *offset);
        let ends: Vec<usize> = ends.chain([pack.len() - self.hash.len_in_bytes()]).collect();
        for ((offset, id), end) in entries.into_iter().zip(ends) {
            assert!(offset >= PACK_HEADER_LEN);
            let (header, header_len) = Header::decode(&pack[offset..], self.hash).unwrap().unwrap();
            let content = match header.content {
                Content::Object(kind) => Stored::Whole(kind),
                Content::OfsDelta { distance } => Stored::OffsetDelta(offset as u64 - distance),
                Content::RefDelta { base } => Stored::IdDelta(base),
            };
            let stream_len = (end - offset - header_len) as u64;
            let location =
                Location { pack: number, offset: offset as u64, stream_len, content, size: header.size };
            memory.starts.insert((number, offset as u64), id);
            memory.locations.entry(id).or_insert(location);
            memory.places.entry(id).or_default().push(location);
        }
        memory.packs.push(pack);
    }
}

/// A [`Source`] that has everything in memory.
#[derive(Default)]
pub struct Memory {
    pub objects: HashMap<ObjectId, (Kind, Vec<u8>)>,
    pub locations: HashMap<ObjectId, Location>,
    /// All entries of an object, in the order of packs.
    pub places: HashMap<ObjectId, Vec<Location>>,
    /// The objects that begin at places of packs.
    pub starts: HashMap<(u32, u64), ObjectId>,
    /// The bytes of the packs.
    pub packs: Vec<Vec<u8>>,
    /// Objects whose entries cannot be copied.
    pub broken: HashSet<(u32, u64)>,
    /// The largest object that may be read whole, if there is a limit.
    pub whole_max: Option<usize>,
    /// Where the streams of objects end, if too early.
    pub streamed_max: Option<usize>,
}

impl Memory {
    /// Adds a blob that is in no pack.
    pub fn add(&mut self, hash: gix_hash::Kind, content: Vec<u8>) -> Object {
        let id = gitr::pack::hash::object_id(hash, Kind::Blob, &content).unwrap();
        self.objects.insert(id, (Kind::Blob, content));
        Object { id, kind: Kind::Blob, name_hash: 0 }
    }
}

impl Bases for Memory {
    fn find(&self, id: &oid, out: &mut Vec<u8>) -> io::Result<Option<Kind>> {
        Ok(self.objects.get(id).map(|(kind, content)| {
            assert!(self.whole_max.is_none_or(|max| content.len() <= max), "{id} is read whole");
            content.clone_into(out);
            *kind
        }))
    }

    fn contains(&self, id: &oid) -> bool {
        self.objects.contains_key(id)
    }
}

impl Source for Memory {
    fn header(&self, id: &oid) -> io::Result<Option<(Kind, u64)>> {
        Ok(self.objects.get(id).map(|(kind, content)| (*kind, content.len() as u64)))
    }

    fn commit(&self, _id: &oid) -> io::Result<Option<Commit>> {
        panic!("a pack is made without walking")
    }

    fn locate(&self, id: &oid) -> io::Result<Option<Location>> {
        Ok(self.locations.get(id).copied())
    }

    fn id_at(&self, pack: u32, offset: u64) -> io::Result<Option<ObjectId>> {
        Ok(self.starts.get(&(pack, offset)).copied())
    }

    fn open_stream(&self, id: &oid) -> io::Result<Option<Box<dyn Read + '_>>> {
        let end = self.streamed_max.unwrap_or(usize::MAX);
        let found = self.objects.get(id);
        Ok(found.map(|(_, content)| Box::new(&content[..end.min(content.len())]) as Box<dyn Read>))
    }

    fn with_entry(&self, location: &Location, read: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        if self.broken.contains(&(location.pack, location.offset)) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let pack = &self.packs[location.pack as usize];
        let start = usize::try_from(location.offset).unwrap();
        let id = self.starts[&(location.pack, location.offset)];
        let (header, header_len) = Header::decode(&pack[start..], id.kind()).unwrap().unwrap();
        assert_eq!(header.size, location.size);
        let start = start + header_len;
        read(&pack[start..start + usize::try_from(location.stream_len).unwrap()]);
        Ok(())
    }
}

/// A number by which objects at similar paths sort together: the last characters count most.
fn name_hash(path: &str) -> u32 {
    path.bytes().fold(0, |hash, byte| (hash >> 2) + (u32::from(byte) << 24))
}

/// So many commits, each of which changes some lines of a growing file and adds one of two others, and a tag.
pub fn history(commits: usize) -> Vec<u8> {
    let mut stream = Vec::new();
    for n in 1..=commits {
        let mut lines = Vec::new();
        for line in 0..200 + n {
            writeln!(lines, "line {line} of {}", if line % 50 == n % 50 { n } else { line * 7 }).unwrap();
        }
        let time = 1_700_000_000 + n;
        writeln!(stream, "commit refs/heads/main").unwrap();
        writeln!(stream, "committer A U Thor <a@example.com> {time} +0000\ndata 2\nm").unwrap();
        writeln!(stream, "M 100644 inline big.txt\ndata {}", lines.len()).unwrap();
        stream.extend(lines);
        writeln!(stream, "M 100755 inline dir{}/{n}\ndata 2\n{}\n", n % 4, n % 10).unwrap();
    }
    writeln!(stream, "tag v1\nfrom refs/heads/main").unwrap();
    writeln!(stream, "tagger A U Thor <a@example.com> 1700000000 +0000\ndata 2\nt").unwrap();
    stream
}
