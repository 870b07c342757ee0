//! What a fetch does to a repository.
