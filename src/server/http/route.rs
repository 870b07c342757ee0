//! What a path and a method ask for.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use bstr::{BString, ByteSlice};

use super::{Refusal, Request, Site, header, not_found};
use crate::protocol::Service;
use crate::repo::Repository;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// `info/refs`.
    Advertisement,
    /// A service.
    Rpc(&'static str),
    /// A file of the repository.
    File(File),
}

/// A file that is served as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    /// Below the git directory.
    pub name: BString,
    pub kind: FileKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    Head,
    /// `objects/info/packs`.
    Packs,
    /// Text that may change.
    Text,
    /// What never changes.
    Forever(&'static str),
}

impl Route {
    /// Takes the path apart: the directory of the repository, and what is asked of it.
    pub(super) fn find(request: &Request) -> Result<(PathBuf, Self), Refusal> {
        let path = request.path.as_os_str().as_bytes();
        let Some((directory, route)) = split(path) else {
            return Err(not_found(format!("Request not supported: '{}'", request.path.display())));
        };
        let (method, allowed) = match route {
            Self::Rpc(_) => ("POST", "POST"),
            Self::Advertisement | Self::File(_) => ("GET", "GET, HEAD"),
        };
        let is_right = request.method == method || (method == "GET" && request.method == "HEAD");
        match (is_right, request.protocol.as_slice()) {
            (true, _) => Ok((PathBuf::from(OsStr::from_bytes(directory)), route)),
            (false, b"HTTP/1.1") => {
                Err(Refusal::Status("405 Method Not Allowed", vec![header("Allow", allowed)], String::new()))
            }
            (false, _) => Err(Refusal::Status("400 Bad Request", Vec::new(), String::new())),
        }
    }
}

impl Site {
    /// The repository whose upload-pack answers `request`; `None` where the answer is another one.
    pub(crate) fn upload_pack_for(&self, request: &Request) -> Option<Repository> {
        let (directory, _) = Route::find(request).ok()?;
        let repo = self.open(&directory).ok()?;
        self.select(&repo, Service::UploadPack.name().into(), request).ok()?;
        Some(repo)
    }
}

/// The directory of the repository that a path asks something of.
pub fn repository_of(path: &Path) -> Option<&Path> {
    split(path.as_os_str().as_bytes()).map(|(directory, _)| Path::new(OsStr::from_bytes(directory)))
}

fn split(path: &[u8]) -> Option<(&[u8], Route)> {
    let fixed = [
        ("/info/refs", Route::Advertisement),
        ("/git-upload-pack", Route::Rpc("git-upload-pack")),
        ("/git-receive-pack", Route::Rpc("git-receive-pack")),
        ("/git-upload-archive", Route::Rpc("git-upload-archive")),
        ("/HEAD", file("HEAD", FileKind::Head)),
        ("/objects/info/alternates", file("objects/info/alternates", FileKind::Text)),
        ("/objects/info/http-alternates", file("objects/info/http-alternates", FileKind::Text)),
        ("/objects/info/packs", file("objects/info/packs", FileKind::Packs)),
    ];
    for (suffix, route) in fixed {
        if let Some(directory) = path.strip_suffix(suffix.as_bytes()) {
            return Some((directory, route));
        }
    }
    let objects = path.rfind("/objects/")?;
    let (directory, name) = path.split_at_checked(objects)?;
    let name = name.strip_prefix(b"/")?;
    let kind = object_file(name.strip_prefix(b"objects/")?)?;
    Some((directory, Route::File(File { name: name.into(), kind })))
}

fn file(name: &str, kind: FileKind) -> Route {
    Route::File(File { name: name.into(), kind })
}

/// A loose object, a pack or its index.
fn object_file(name: &[u8]) -> Option<FileKind> {
    let is_hex = |text: &[u8], lengths: [usize; 2]| {
        lengths.contains(&text.len()) && text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    if let Some(pack) = name.strip_prefix(b"pack/pack-") {
        let (hex, kind) = match pack.strip_suffix(b".pack") {
            Some(hex) => (hex, "application/x-git-packed-objects"),
            None => (pack.strip_suffix(b".idx")?, "application/x-git-packed-objects-toc"),
        };
        return is_hex(hex, [40, 64]).then_some(FileKind::Forever(kind));
    }
    let (first, rest) = name.split_once_str("/")?;
    let is_loose = is_hex(first, [2, 2]) && is_hex(rest, [38, 62]);
    is_loose.then_some(FileKind::Forever("application/x-git-loose-object"))
}
