//! The messages of git-fsck(1), "FSCK MESSAGES".

/// What becomes of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The object is refused.
    Error,
    /// It is told.
    Warn,
    /// It is not even told.
    Ignore,
}

impl Severity {
    /// A severity as the configuration has it.
    pub(super) fn parse(word: &[u8]) -> Option<Self> {
        match word {
            b"error" => Some(Self::Error),
            b"warn" => Some(Self::Warn),
            b"ignore" => Some(Self::Ignore),
            _ => None,
        }
    }
}

/// How git rates a message by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rank {
    /// An error whatever the configuration says.
    Fatal,
    Error,
    /// A warning for `git fsck`, an error for packs that come in.
    Warn,
    /// A warning for packs that come in.
    Info,
    Ignore,
}

macro_rules! messages {
    ($($variant:ident $name:literal $rank:ident,)*) => {
        /// What can be wrong with an object.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Message {
            $(#[doc = concat!("`", $name, "` of git-fsck(1).")] $variant,)*
        }

        impl Message {
            /// Every message.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The message's name, as git writes it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            fn rank(self) -> Rank {
                match self { $(Self::$variant => Rank::$rank,)* }
            }
        }
    };
}

messages! {
    BadDate "badDate" Error,
    BadDateOverflow "badDateOverflow" Error,
    BadEmail "badEmail" Error,
    BadFilemode "badFilemode" Info,
    BadGpgsig "badGpgsig" Error,
    BadHeaderContinuation "badHeaderContinuation" Error,
    BadName "badName" Error,
    BadObjectSha1 "badObjectSha1" Error,
    BadParentSha1 "badParentSha1" Error,
    BadRefFiletype "badRefFiletype" Error,
    BadRefName "badRefName" Error,
    BadTagName "badTagName" Info,
    BadTimezone "badTimezone" Error,
    BadTree "badTree" Error,
    BadTreeSha1 "badTreeSha1" Error,
    BadType "badType" Error,
    DuplicateEntries "duplicateEntries" Error,
    EmptyName "emptyName" Warn,
    ExtraHeaderEntry "extraHeaderEntry" Ignore,
    FullPathname "fullPathname" Warn,
    GitattributesBlob "gitattributesBlob" Error,
    GitattributesLarge "gitattributesLarge" Error,
    GitattributesLineLength "gitattributesLineLength" Error,
    GitattributesMissing "gitattributesMissing" Error,
    GitattributesSymlink "gitattributesSymlink" Info,
    GitignoreSymlink "gitignoreSymlink" Info,
    GitmodulesBlob "gitmodulesBlob" Error,
    GitmodulesLarge "gitmodulesLarge" Error,
    GitmodulesMissing "gitmodulesMissing" Error,
    GitmodulesName "gitmodulesName" Error,
    GitmodulesParse "gitmodulesParse" Info,
    GitmodulesPath "gitmodulesPath" Error,
    GitmodulesSymlink "gitmodulesSymlink" Error,
    GitmodulesUpdate "gitmodulesUpdate" Error,
    GitmodulesUrl "gitmodulesUrl" Error,
    HasDot "hasDot" Warn,
    HasDotdot "hasDotdot" Warn,
    HasDotgit "hasDotgit" Warn,
    LargePathname "largePathname" Warn,
    MailmapSymlink "mailmapSymlink" Info,
    MissingAuthor "missingAuthor" Error,
    MissingCommitter "missingCommitter" Error,
    MissingEmail "missingEmail" Error,
    MissingNameBeforeEmail "missingNameBeforeEmail" Error,
    MissingObject "missingObject" Error,
    MissingSpaceBeforeDate "missingSpaceBeforeDate" Error,
    MissingSpaceBeforeEmail "missingSpaceBeforeEmail" Error,
    MissingTag "missingTag" Error,
    MissingTagEntry "missingTagEntry" Error,
    MissingTaggerEntry "missingTaggerEntry" Info,
    MissingTree "missingTree" Error,
    MissingType "missingType" Error,
    MissingTypeEntry "missingTypeEntry" Error,
    MultipleAuthors "multipleAuthors" Error,
    NulInCommit "nulInCommit" Warn,
    NulInHeader "nulInHeader" Fatal,
    NullSha1 "nullSha1" Warn,
    TreeNotSorted "treeNotSorted" Error,
    UnknownType "unknownType" Error,
    UnterminatedHeader "unterminatedHeader" Fatal,
    ZeroPaddedDate "zeroPaddedDate" Error,
    ZeroPaddedFilemode "zeroPaddedFilemode" Warn,
}

impl Message {
    /// What it counts for in a pack that comes in.
    pub(super) fn incoming(self) -> Severity {
        match self.rank() {
            Rank::Fatal | Rank::Error | Rank::Warn => Severity::Error,
            Rank::Info => Severity::Warn,
            Rank::Ignore => Severity::Ignore,
        }
    }

    /// Whether it is an error whatever the configuration says.
    pub(super) fn is_fatal(self) -> bool {
        self.rank() == Rank::Fatal
    }
}
