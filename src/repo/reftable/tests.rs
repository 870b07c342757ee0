//! Tables that are written and read again, whole and damaged.

use std::fs;
use std::time::Duration;

use bstr::{BStr, BString};
use gix_hash::ObjectId;
use proptest::prelude::*;

use super::record::{Input, push_varint};
use super::*;
use crate::storage::Storage;

fn settings() -> Settings {
    Settings {
        block_size: 256,
        restart_interval: 4,
        geometric_factor: 2,
        lock_timeout: Duration::from_secs(9),
        storage: Storage::default(),
    }
}

fn id(number: usize) -> ObjectId {
    let mut bytes = [7; 20];
    bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
    ObjectId::from_bytes_or_panic(&bytes)
}

fn reference(number: usize, update_index: u64) -> RefRecord {
    let value = match number % 3 {
        0 => Value::Id(id(number)),
        1 => Value::Tag(id(number), id(number + 1)),
        _ => Value::Symbolic("refs/heads/main".into()),
    };
    RefRecord { name: name(number), update_index, value }
}

fn name(number: usize) -> BString {
    format!("refs/heads/b{number:05}").into()
}

fn line(number: usize, update_index: u64) -> LogRecord {
    let log = Log {
        old: id(number),
        new: id(number + 1),
        name: "A B".into(),
        email: "a@b".into(),
        seconds: 1_700_000_000,
        zone: -130,
        message: format!("change {number}\n").into(),
    };
    LogRecord { name: name(number), update_index, log: Some(log) }
}

/// Adds a table of `refs` and `logs` to `directory`, and makes one of the small ones.
fn add(directory: &Path, refs: Vec<RefRecord>, logs: Vec<LogRecord>) {
    let mut addition = Addition::begin(directory, gix_hash::Kind::Sha1, &settings()).unwrap();
    addition.write(&settings(), refs, logs).unwrap();
    addition.commit().unwrap();
    compact(directory, gix_hash::Kind::Sha1, &settings());
}

fn open(directory: &Path) -> Stack {
    Stack::open(directory, gix_hash::Kind::Sha1).unwrap()
}

fn refs(stack: &Stack, prefix: &str) -> Vec<RefRecord> {
    let mut found = Vec::new();
    let mut take = |record| {
        found.push(record);
        true
    };
    stack.refs(prefix.into(), &mut take).unwrap();
    found
}

fn table_count(directory: &Path) -> usize {
    fs::read_to_string(directory.join("tables.list")).unwrap().lines().count()
}

#[test]
fn a_table_of_many_blocks_is_read_whole_and_by_names() {
    let directory = tempfile::tempdir().unwrap();
    let all: Vec<RefRecord> = (0..2_000).map(|number| reference(number, 1)).collect();
    add(directory.path(), all.clone(), (0..300).map(|number| line(number, 1)).collect());
    let stack = open(directory.path());
    assert_eq!(refs(&stack, ""), all);
    for number in [0, 1, 777, 1_998, 1_999] {
        assert_eq!(stack.find(name(number).as_ref()).unwrap(), Some(reference(number, 1)));
    }
    for absent in ["refs/heads/b0", "refs/heads/b000005", "refs/heads/c", "A"] {
        assert_eq!(stack.find(absent.into()).unwrap(), None, "{absent}");
    }
    assert_eq!(refs(&stack, "refs/heads/b0011"), all[110..120]);
    assert_eq!(stack.log(name(299).as_ref()).unwrap(), [line(299, 1)]);
    assert_eq!(stack.log(name(300).as_ref()).unwrap(), []);
    assert_eq!(stack.log_names().unwrap().len(), 300);
}

#[test]
fn a_lock_that_somebody_left_keeps_only_its_table_from_others() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    add(path, vec![reference(0, 1)], Vec::new());
    let list = fs::read_to_string(path.join("tables.list")).unwrap();
    fs::write(path.join(list.trim()).with_added_extension("lock"), "").unwrap();
    for number in 1..60 {
        add(path, vec![reference(number, number as u64 + 1)], Vec::new());
    }
    assert!(table_count(path) < 10, "{} tables", table_count(path));
    assert_eq!(refs(&open(path), "").len(), 60);
}

#[test]
fn what_fitted_once_fits_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let long = Log { message: "x".repeat(1_500).into(), ..line(1, 1).log.unwrap() };
    let mut addition = Addition::begin(path, gix_hash::Kind::Sha1, &settings()).unwrap();
    let roomy = Settings { block_size: 4096, ..settings() };
    addition.write(&roomy, Vec::new(), vec![LogRecord { log: Some(long.clone()), ..line(1, 1) }]).unwrap();
    addition.commit().unwrap();
    for number in 2..30 {
        add(path, vec![reference(number, number as u64)], Vec::new());
    }
    assert!(table_count(path) < 6, "{} tables", table_count(path));
    assert_eq!(open(path).log(name(1).as_ref()).unwrap()[0].log, Some(long));
}

#[test]
fn newer_tables_count_more_and_small_ones_become_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    add(path, (0..100).map(|number| reference(number, 1)).collect(), vec![line(3, 1)]);
    let large = table_count(path);
    for (number, update_index) in (2..40).zip(2..) {
        let changed = RefRecord { value: Value::Id(id(99)), ..reference(3, update_index) };
        let gone = RefRecord { value: Value::Deleted, ..reference(number, update_index) };
        add(path, if number == 3 { vec![gone] } else { vec![changed, gone] }, vec![line(3, update_index)]);
    }
    let stack = open(path);
    assert_eq!(stack.find(name(3).as_ref()).unwrap().unwrap().value, Value::Id(id(99)));
    assert_eq!(stack.find(name(2).as_ref()).unwrap(), None);
    assert_eq!(refs(&stack, "").len(), 100 - 38 + 1, "2 to 39 are gone, 3 came back");
    let log = stack.log(name(3).as_ref()).unwrap();
    assert_eq!(
        log.iter().map(|line| line.update_index).collect::<Vec<_>>(),
        (1..40).rev().collect::<Vec<_>>()
    );
    assert!((large..8).contains(&table_count(path)), "{} tables", table_count(path));
    let files = fs::read_dir(path).unwrap().count();
    assert_eq!(files, table_count(path) + 1, "merged tables are removed, and no lock stays");
}

#[test]
fn a_stack_of_which_nothing_is_left_is_empty() {
    let directory = tempfile::tempdir().unwrap();
    add(directory.path(), vec![reference(0, 1)], Vec::new());
    add(directory.path(), vec![RefRecord { value: Value::Deleted, ..reference(0, 2) }], Vec::new());
    assert_eq!(refs(&open(directory.path()), ""), []);
    add(directory.path(), vec![reference(5, 3)], Vec::new());
    assert_eq!(refs(&open(directory.path()), "").len(), 1);
}

#[test]
fn a_table_of_logs_alone_is_read() {
    let directory = tempfile::tempdir().unwrap();
    add(directory.path(), Vec::new(), (0..100).map(|number| line(number, 1)).collect());
    let stack = open(directory.path());
    assert_eq!(refs(&stack, ""), []);
    assert_eq!(stack.log(name(50).as_ref()).unwrap(), [line(50, 1)]);
}

#[test]
fn a_lock_of_another_process_is_respected() {
    let directory = tempfile::tempdir().unwrap();
    add(directory.path(), vec![reference(0, 1)], Vec::new());
    fs::write(directory.path().join("tables.list.lock"), "").unwrap();
    let at_once = Settings { lock_timeout: Duration::ZERO, ..settings() };
    let error = Addition::begin(directory.path(), gix_hash::Kind::Sha1, &at_once).err().unwrap().to_string();
    assert!(error.starts_with("cannot lock references: Unable to create"), "{error}");
}

/// Reads all that there is; what comes of it does not matter.
fn read_everything(directory: &Path) {
    let Ok(stack) = Stack::open(directory, gix_hash::Kind::Sha1) else { return };
    let _any = stack.refs("".into(), &mut |_| true);
    for number in [0, 4, 19] {
        let _any = stack.find(name(number).as_ref());
        let _any = stack.log(name(number).as_ref());
    }
    let _any = stack.log_names();
}

/// The footer's checksum is made right again, so that what it protects is looked at.
fn with_sum(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(start) = bytes.len().checked_sub(68) {
        let header: Vec<u8> = bytes[..24].to_vec();
        bytes[start..start + 24].copy_from_slice(&header);
        let sum = crc32fast::hash(&bytes[start..start + 64]).to_be_bytes();
        bytes[start + 64..].copy_from_slice(&sum);
    }
    bytes
}

#[test]
fn a_damaged_table_is_an_error_and_no_panic() {
    let directory = tempfile::tempdir().unwrap();
    let refs = (0..20).map(|number| reference(number, 1)).collect();
    add(directory.path(), refs, (0..5).map(|number| line(number, 1)).collect());
    let list = fs::read_to_string(directory.path().join("tables.list")).unwrap();
    let path = directory.path().join(list.trim());
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        for value in [0xff, whole[at] ^ 0x81] {
            let mut bytes = whole.clone();
            bytes[at] = value;
            for bytes in [with_sum(bytes.clone()), bytes] {
                fs::write(&path, bytes).unwrap();
                read_everything(directory.path());
            }
        }
    }
    for len in 0..whole.len() {
        fs::write(&path, &whole[..len]).unwrap();
        assert!(Stack::open(directory.path(), gix_hash::Kind::Sha1).is_err(), "cut off at {len}");
    }
}

#[test]
fn a_list_names_files_of_its_directory_only() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["../x.ref", "a/b.ref", ".hidden"] {
        fs::write(directory.path().join("tables.list"), format!("{name}\n")).unwrap();
        assert!(Stack::open(directory.path(), gix_hash::Kind::Sha1).is_err(), "{name}");
    }
}

proptest! {
    #[test]
    fn numbers_are_read_as_they_were_written(value: u64) {
        let mut bytes = Vec::new();
        push_varint(&mut bytes, value);
        let mut input = Input { rest: &bytes, object_hash: gix_hash::Kind::Sha1 };
        prop_assert_eq!(input.varint(), Some(value));
        prop_assert!(input.rest.is_empty());
    }

    #[test]
    fn any_names_are_found_again(names in proptest::collection::btree_set("[a-c/]{1,12}", 1..80)) {
        let directory = tempfile::tempdir().unwrap();
        let record = |name: &String| RefRecord { name: name.as_str().into(), update_index: 1, value: Value::Id(id(1)) };
        add(directory.path(), names.iter().map(record).collect(), Vec::new());
        let stack = open(directory.path());
        for name in &names {
            let found = stack.find(BStr::new(name.as_str())).unwrap();
            prop_assert_eq!(found, Some(record(name)));
        }
        let longer = format!("{}x", names.first().unwrap());
        prop_assert_eq!(stack.find(BStr::new(&longer)).unwrap(), None);
        prop_assert_eq!(refs(&stack, "").len(), names.len());
    }
}
