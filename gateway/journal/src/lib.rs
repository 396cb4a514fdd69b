//! The journal: segment files in which a batch is one write and one sync.
