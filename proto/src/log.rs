//! The transparency log: Merkle tree, tiles, notes, checkpoints, proofs. Not here: what a leaf
//! means (`evidence`, `directory`), and where tiles are kept (the gateway).
