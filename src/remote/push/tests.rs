//! What is pushed where, against refs of both sides that are made up.
