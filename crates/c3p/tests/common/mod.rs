//! What the integration tests share: the documents on disk, and one way to read, print and read again.

use std::fs;
use std::path::{Path, PathBuf};

use c3p::{AppInvite, ParseError, Request, Response, conference_info};

/// A document of any kind.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Parsed {
    Request(Request),
    Response(Response),
    Info(Box<conference_info::ConferenceInfo>),
    Invite(AppInvite),
}

impl Parsed {
    /// Reads a document with the reader for its root; several readers never accept the same document.
    pub(crate) fn read(body: &[u8]) -> Result<Self, ParseError> {
        let request = c3p::parse_request(body).map(Self::Request);
        let others = [
            c3p::parse_response(body).map(Self::Response),
            conference_info::parse(body).map(Box::new).map(Self::Info),
            AppInvite::parse(body).map(Self::Invite),
        ];
        let accepted = others.iter().filter(|result| result.is_ok()).count() + usize::from(request.is_ok());
        assert!(accepted <= 1, "two readers accepted the same document");
        others.into_iter().find(Result::is_ok).unwrap_or(request)
    }

    pub(crate) fn to_xml(&self) -> String {
        match self {
            Self::Request(request) => request.to_xml(),
            Self::Response(response) => response.to_xml(),
            Self::Info(info) => info.to_xml(),
            Self::Invite(invite) => invite.to_xml(),
        }
    }
}

/// A folder of documents below the workspace's `tests`.
pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests").join(name)
}

/// Every document of a folder with its file name, in order of names.
pub(crate) fn documents(name: &str) -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<(String, Vec<u8>)> = fs::read_dir(folder(name))
        .expect("the folder exists")
        .map(|entry| entry.expect("the folder is readable").path())
        .map(|path| {
            let file = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
            (file, fs::read(&path).expect("the file is readable"))
        })
        .collect();
    found.sort();
    assert!(!found.is_empty(), "{name} is empty");
    found
}

/// One golden document.
#[allow(dead_code, reason = "not every test file reads single documents")]
pub(crate) fn golden(file: &str) -> Vec<u8> {
    fs::read(folder("golden/c3p").join(file)).expect("the golden document exists")
}

/// The Focus URI of the golden documents.
#[allow(dead_code, reason = "not every test file names the conference")]
pub(crate) const FOCUS: &str = "sip:ann@example.com;gruu;opaque=app:conf:focus:id:K3V9PX2Q";
