//! (transport helper)
