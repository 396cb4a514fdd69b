//! The Merkle tree of RFC 6962 §2.1: hashes, growth, proofs and their verification. Not here: where
//! hashes are kept ([`HashReader`], `tile`), and who vouches for a root (`checkpoint`).
//!
//! One picture serves everything below. A node is (level, index) and covers the leaves
//! `index << level .. (index + 1) << level`, cut off at the tree's size. A node without a right
//! child is its left child. So a level holds the indices `0 ..= last`, the next one
//! `0 ..= last >> 1`, and the sibling `index ^ 1` is there whenever it is not beyond `last`. All
//! nodes but the last of a level are *complete* and never change again.

use crate::{Malformed, digest::Digest};

use super::{SIZE_MAX, Unproven};

/// Hash of an entry: `SHA-256(0x00 || entry)` (RFC 6962 §2.1).
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Digest {
    Digest::of_all(&[&[0], entry])
}

/// Hash of a node with two children: `SHA-256(0x01 || left || right)` (RFC 6962 §2.1).
#[must_use]
pub fn node_hash(left: Digest, right: Digest) -> Digest {
    Digest::of_all(&[&[1], left.as_bytes(), right.as_bytes()])
}

/// Root of the tree without leaves: the SHA-256 of nothing (RFC 6962 §2.1).
#[must_use]
pub fn empty_root() -> Digest {
    Digest::of(&[])
}

/// The right edge of a tree: its size, and the hashes of the complete subtrees that it is made of,
/// one for each one-bit of the size, largest first. All that is needed to append, so at most 63
/// hashes are a snapshot of any log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    subtrees: Vec<Digest>,
}

impl Frontier {
    /// Takes a frontier from a snapshot: what [`Self::size`] and [`Self::subtrees`] gave.
    ///
    /// # Errors
    /// [`Malformed::TooLarge`] for a size above [`SIZE_MAX`]; [`Malformed::Length`] when there is
    /// not one hash for each one-bit of the size.
    pub fn from_parts(size: u64, subtrees: Vec<Digest>) -> Result<Self, Malformed> {
        if size > SIZE_MAX {
            return Err(Malformed::TooLarge { field: "frontier.size", limit: SIZE_MAX });
        }
        if u32::try_from(subtrees.len()) != Ok(size.count_ones()) {
            return Err(Malformed::Length { field: "frontier.subtrees" });
        }
        Ok(Self { size, subtrees })
    }

    /// Leaves in the tree.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The hashes of the complete subtrees, largest (leftmost) first.
    #[must_use]
    pub fn subtrees(&self) -> &[Digest] {
        &self.subtrees
    }

    /// Appends a leaf by its hash.
    pub fn append(&mut self, leaf_hash: Digest) {
        // Each trailing one-bit of the size is a complete subtree that the new leaf completes a
        // twin of; like carrying in an addition.
        let mut hash = leaf_hash;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.subtrees.pop() {
                hash = node_hash(left, hash);
            }
        }
        self.subtrees.push(hash);
        // Nobody lives to append 2^63 leaves.
        self.size = self.size.saturating_add(1);
    }

    /// Appends leaves by their hashes, in order.
    pub fn extend(&mut self, leaf_hashes: impl IntoIterator<Item = Digest>) {
        for leaf_hash in leaf_hashes {
            self.append(leaf_hash);
        }
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> Digest {
        let smallest_first = self.subtrees.iter().rev().copied();
        smallest_first.reduce(|right, left| node_hash(left, right)).unwrap_or_else(empty_root)
    }
}

/// A tree growing by one batch: the new frontier and root, and the inclusion proof at the *new*
/// size of every new leaf, from memory alone. Whatever lies left of the batch is a subtree of the
/// old frontier, so k new leaves cost about k node hashes, each computed once, and a proof only
/// collects them.
#[derive(Debug, Clone)]
pub struct Growth {
    size_before: u64,
    /// From the leaves up to the root: the nodes of each level that cover a new leaf, and before
    /// them the complete left sibling of the first, where it has one.
    layers: Vec<Layer>,
    after: Frontier,
    root: Digest,
}

impl Growth {
    /// Appends a batch of leaf hashes to a tree.
    #[must_use]
    pub fn new(before: &Frontier, leaf_hashes: &[Digest]) -> Self {
        if leaf_hashes.is_empty() {
            return Self {
                size_before: before.size,
                layers: Vec::new(),
                after: before.clone(),
                root: before.root(),
            };
        }
        let layers = Layer::all(before, leaf_hashes);
        let added = u64::try_from(leaf_hashes.len()).unwrap_or(u64::MAX);
        let size = before.size.saturating_add(added);
        // Every subtree of the old frontier is the left sibling of a node above a new leaf, so the
        // layers hold it, and all of the new frontier with it.
        let mut subtrees: Vec<Digest> = peaks(size).filter_map(|node| Layer::hash(&layers, node)).collect();
        subtrees.reverse();
        let after = Frontier { size, subtrees };
        let root = after.root();
        Self { size_before: before.size, layers, after, root }
    }

    /// The frontier with the batch.
    #[must_use]
    pub const fn frontier(&self) -> &Frontier {
        &self.after
    }

    /// The frontier with the batch, when the proofs are no longer needed.
    #[must_use]
    pub fn into_frontier(self) -> Frontier {
        self.after
    }

    /// Leaves in the tree with the batch.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.after.size
    }

    /// The root of the tree with the batch.
    #[must_use]
    pub const fn root(&self) -> Digest {
        self.root
    }

    /// The inclusion proof, at the new size, of a leaf of the batch; `index` is its index in the
    /// log.
    ///
    /// # Errors
    /// [`Unproven::OutsideTree`] when that leaf is not of this batch.
    pub fn inclusion_proof(&self, index: u64) -> Result<Vec<Digest>, Unproven> {
        if index < self.size_before || index >= self.after.size {
            return Err(Unproven::OutsideTree);
        }
        siblings(Node { level: 0, index }, self.after.size)
            .map(|node| Layer::hash(&self.layers, node).ok_or(Unproven::HashMissing))
            .collect()
    }
}

/// Consecutive nodes of one level.
#[derive(Debug, Clone)]
struct Layer {
    first: u64,
    hashes: Vec<Digest>,
}

impl Layer {
    /// The layers of a growing tree, from the leaves up to the root.
    fn all(before: &Frontier, leaf_hashes: &[Digest]) -> Vec<Self> {
        let mut smallest_first = before.subtrees.iter().rev().copied();
        let mut layers = Vec::new();
        let mut layer = Self::beside(before.size, &mut smallest_first, leaf_hashes.iter().copied());
        while !layer.is_root() {
            let (pairs, last) = layer.hashes.as_chunks();
            let parents = pairs.iter().map(|[left, right]| node_hash(*left, *right));
            let parents = parents.chain(last.iter().copied());
            let next = Self::beside(layer.first >> 1, &mut smallest_first, parents);
            layers.push(layer);
            layer = next;
        }
        layers.push(layer);
        layers
    }

    /// New nodes from index `first` on. When that is a right child, its left sibling is complete
    /// and the smallest subtree of the old frontier that is not used yet.
    fn beside(
        first: u64,
        smallest_first: &mut impl Iterator<Item = Digest>,
        hashes: impl Iterator<Item = Digest>,
    ) -> Self {
        let is_right_child = first & 1 == 1;
        let left_sibling = if is_right_child { smallest_first.next() } else { None };
        Self { first: first & !1, hashes: left_sibling.into_iter().chain(hashes).collect() }
    }

    fn is_root(&self) -> bool {
        self.first == 0 && self.hashes.len() == 1
    }

    fn hash(layers: &[Self], node: Node) -> Option<Digest> {
        let layer = layers.get(usize::from(node.level))?;
        let at = usize::try_from(node.index.checked_sub(layer.first)?).ok()?;
        layer.hashes.get(at).copied()
    }
}

/// Where the hashes of a tree's complete nodes can be read.
pub trait HashReader {
    /// The hash of the complete node at `level` and `index`: of the leaves from `index << level` on,
    /// `1 << level` of them. `None` when it is not to be had. Nothing is trusted: a proof built
    /// from a wrong hash does not verify.
    fn hash(&self, level: u8, index: u64) -> Option<Digest>;
}

/// The leaf hashes of a small log that is kept whole. A read costs `1 << level` node hashes.
impl HashReader for [Digest] {
    fn hash(&self, level: u8, index: u64) -> Option<Digest> {
        let width = 1usize.checked_shl(level.into())?;
        let start = usize::try_from(index).ok()?.checked_mul(width)?;
        let leaf_hashes = self.get(start..start.checked_add(width)?)?;
        let mut subtree = Frontier::default();
        subtree.extend(leaf_hashes.iter().copied());
        Some(subtree.root())
    }
}

/// The root of the tree's first `size` leaves.
///
/// # Errors
/// [`Unproven::HashMissing`] when the reader does not have a hash.
pub fn root(size: u64, reader: &(impl HashReader + ?Sized)) -> Result<Digest, Unproven> {
    match fold(peaks(size), reader)? {
        Some(root) => Ok(root),
        None => Ok(empty_root()),
    }
}

/// The inclusion proof of leaf `index` in the tree of `size` leaves, the leaf's sibling first
/// (RFC 6962 §2.1.1).
///
/// # Errors
/// [`Unproven::OutsideTree`] when `index` is not below `size`; [`Unproven::HashMissing`] when the
/// reader does not have a hash.
pub fn inclusion_proof(
    index: u64,
    size: u64,
    reader: &(impl HashReader + ?Sized),
) -> Result<Vec<Digest>, Unproven> {
    if index >= size {
        return Err(Unproven::OutsideTree);
    }
    siblings(Node { level: 0, index }, size).map(|node| hash_of(node, size, reader)).collect()
}

/// The consistency proof from the tree of `old_size` leaves to that of `new_size` leaves
/// (RFC 6962 §2.1.2). Empty from an empty tree, and between equal sizes.
///
/// # Errors
/// [`Unproven::Shrunk`] when `new_size` is the smaller one; [`Unproven::HashMissing`] when the
/// reader does not have a hash.
pub fn consistency_proof(
    old_size: u64,
    new_size: u64,
    reader: &(impl HashReader + ?Sized),
) -> Result<Vec<Digest>, Unproven> {
    if new_size < old_size {
        return Err(Unproven::Shrunk);
    }
    let Some(peak) = peaks(old_size).next() else {
        return Ok(Vec::new());
    };
    if old_size == new_size {
        return Ok(Vec::new());
    }
    // When the old tree is one complete subtree, the verifier has its hash: the old root.
    let seed = Some(peak).filter(|_| !old_size.is_power_of_two());
    seed.into_iter().chain(siblings(peak, new_size)).map(|node| hash_of(node, new_size, reader)).collect()
}

/// Checks that the leaf with this hash is at `index` in the tree of `size` leaves with this root
/// (RFC 9162 §2.1.3.2). The proof must have exactly as many hashes as it needs.
///
/// # Errors
/// [`Unproven::OutsideTree`], [`Unproven::ProofLength`] or [`Unproven::RootMismatch`].
pub fn verify_inclusion(
    index: u64,
    size: u64,
    leaf_hash: Digest,
    proof: &[Digest],
    root: Digest,
) -> Result<(), Unproven> {
    if index >= size {
        return Err(Unproven::OutsideTree);
    }
    let mut hash = leaf_hash;
    for step in climb(Node { level: 0, index }, size, proof) {
        let (sibling, sibling_hash) = step?;
        hash = sibling.join(sibling_hash, hash);
    }
    equal(hash, root)
}

/// Checks that the older tree is the beginning of the newer one (RFC 9162 §2.1.4.2). The proof must
/// have exactly as many hashes as it needs: none between equal sizes, and none from an empty tree.
///
/// # Errors
/// [`Unproven::Shrunk`], [`Unproven::ProofLength`] or [`Unproven::RootMismatch`].
pub fn verify_consistency(
    old_size: u64,
    old_root: Digest,
    new_size: u64,
    new_root: Digest,
    proof: &[Digest],
) -> Result<(), Unproven> {
    if new_size < old_size {
        return Err(Unproven::Shrunk);
    }
    let Some(peak) = peaks(old_size).next() else {
        no_hashes(proof)?;
        return equal(old_root, empty_root());
    };
    if old_size == new_size {
        no_hashes(proof)?;
        return equal(old_root, new_root);
    }
    let (seed, proof) = match proof.split_first() {
        _ if old_size.is_power_of_two() => (old_root, proof),
        Some((seed, rest)) => (*seed, rest),
        None => return Err(Unproven::ProofLength),
    };
    // From the old tree's smallest complete subtree upwards: what lies left of the way is in both
    // trees, what lies right of it only in the new one.
    let (mut old_hash, mut new_hash) = (seed, seed);
    for step in climb(peak, new_size, proof) {
        let (sibling, sibling_hash) = step?;
        new_hash = sibling.join(sibling_hash, new_hash);
        if sibling.is_left() {
            old_hash = node_hash(sibling_hash, old_hash);
        }
    }
    equal(old_hash, old_root)?;
    equal(new_hash, new_root)
}

fn equal(computed: Digest, root: Digest) -> Result<(), Unproven> {
    if computed == root { Ok(()) } else { Err(Unproven::RootMismatch) }
}

fn no_hashes(proof: &[Digest]) -> Result<(), Unproven> {
    if proof.is_empty() { Ok(()) } else { Err(Unproven::ProofLength) }
}

#[derive(Debug, Clone, Copy)]
struct Node {
    level: u8,
    index: u64,
}

impl Node {
    const fn is_left(self) -> bool {
        self.index & 1 == 0
    }

    /// The hash of the parent of this node and its sibling.
    fn join(self, hash: Digest, sibling_hash: Digest) -> Digest {
        if self.is_left() { node_hash(hash, sibling_hash) } else { node_hash(sibling_hash, hash) }
    }
}

/// The complete subtrees that a tree is made of, smallest (rightmost) first: one for each one-bit of
/// its size.
fn peaks(size: u64) -> impl Iterator<Item = Node> {
    let widths = std::iter::successors(Some(size), |width| Some(width >> 1));
    (0..64u8)
        .zip(widths)
        .filter(|(_, width)| width & 1 == 1)
        .map(|(level, width)| Node { level, index: width ^ 1 })
}

/// The siblings on the way from a complete node up to the root, lowest first.
fn siblings(node: Node, size: u64) -> impl Iterator<Item = Node> {
    let last_leaf = size.saturating_sub(1);
    let last = last_leaf.checked_shr(node.level.into()).unwrap_or(0);
    let lasts = std::iter::successors(Some(last), |last| Some(last >> 1));
    let indices = std::iter::successors(Some(node.index), |index| Some(index >> 1));
    (node.level..64)
        .zip(indices.zip(lasts))
        .take_while(|(_, (_, last))| *last > 0)
        .map(|(level, (index, last))| (Node { level, index: index ^ 1 }, last))
        .filter(|(sibling, last)| sibling.index <= *last)
        .map(|(sibling, _)| sibling)
}

/// Each sibling on the way up with its hash from the proof; an error where the proof is too short,
/// or at the end where it is too long.
fn climb(node: Node, size: u64, proof: &[Digest]) -> impl Iterator<Item = Result<(Node, Digest), Unproven>> {
    let mut hashes = proof.iter().copied();
    let mut siblings = siblings(node, size);
    std::iter::from_fn(move || match (siblings.next(), hashes.next()) {
        (Some(sibling), Some(hash)) => Some(Ok((sibling, hash))),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => Some(Err(Unproven::ProofLength)),
    })
}

/// The hash of any node of a tree. Only the last one of a level can be incomplete; it is made of the
/// tree's complete subtrees below that level.
fn hash_of(node: Node, size: u64, reader: &(impl HashReader + ?Sized)) -> Result<Digest, Unproven> {
    let complete = size.checked_shr(node.level.into()).unwrap_or(0);
    if node.index < complete {
        return read(node, reader);
    }
    let below = peaks(size).take_while(|peak| peak.level < node.level);
    fold(below, reader)?.ok_or(Unproven::HashMissing)
}

/// Joins neighbouring subtrees, rightmost first.
fn fold(
    rightmost_first: impl Iterator<Item = Node>,
    reader: &(impl HashReader + ?Sized),
) -> Result<Option<Digest>, Unproven> {
    let mut joined = None;
    for node in rightmost_first {
        let left = read(node, reader)?;
        joined = Some(match joined {
            Some(right) => node_hash(left, right),
            None => left,
        });
    }
    Ok(joined)
}

fn read(node: Node, reader: &(impl HashReader + ?Sized)) -> Result<Digest, Unproven> {
    reader.hash(node.level, node.index).ok_or(Unproven::HashMissing)
}
