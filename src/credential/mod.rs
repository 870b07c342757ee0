//! Who the user is: what a transport asks when a server wants to know.

/// A user name and its secret.
#[derive(Clone)]
pub struct Credential {
    /// The name.
    pub username: String,
    /// The secret.
    pub password: Secret,
}

/// Text that must reach no log: its `Debug` says only that there is one.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<redacted>")
    }
}

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}
