//! The Merkle tree over a batch's statements, and a member's proof that its statement is in it.
//!
//! Built as OpenZeppelin's `StandardMerkleTree` is, so that its `MerkleProof` verifies the proofs on
//! the chain: leaves are hashed twice and sorted, a node is the hash of its two children in ascending
//! order.

use sha3::{Digest, Keccak256};

/// A Keccak-256 hash.
pub type Hash = [u8; 32];

/// Keccak-256 of the concatenation of `parts`.
#[must_use]
pub fn keccak256(parts: &[&[u8]]) -> Hash {
    let mut hasher = Keccak256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// The leaf of an encoded statement: hashed twice, so that no inner node passes for a leaf.
#[must_use]
pub fn leaf(encoded: &[u8]) -> Hash {
    keccak256(&[&keccak256(&[encoded])])
}

fn node(a: &Hash, b: &Hash) -> Hash {
    if a <= b { keccak256(&[a, b]) } else { keccak256(&[b, a]) }
}

/// A tree, kept whole so that it can give proofs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// A complete binary tree from the root down; the children of `i` are `2i + 1` and `2i + 2`.
    nodes: Vec<Hash>,
    /// Each leaf and where it stands in `nodes`, ascending by leaf.
    leaves: Vec<(Hash, usize)>,
}

impl Tree {
    /// Builds the tree of at least one leaf; `None` without leaves.
    #[must_use]
    pub fn new(mut leaves: Vec<Hash>) -> Option<Self> {
        let last = leaves.len().checked_mul(2)?.checked_sub(2)?;
        leaves.sort_unstable();
        let mut nodes = vec![Hash::default(); last + 1];
        let leaves: Vec<(Hash, usize)> =
            leaves.into_iter().enumerate().map(|(i, leaf)| (leaf, last - i)).collect();
        for (leaf, at) in &leaves {
            nodes[*at] = *leaf;
        }
        for at in (0..leaves.len() - 1).rev() {
            nodes[at] = node(&nodes[2 * at + 1], &nodes[2 * at + 2]);
        }
        Some(Self { nodes, leaves })
    }

    /// The root; never all zero, which the contract takes for "not settled".
    #[must_use]
    pub fn root(&self) -> Hash {
        self.nodes[0]
    }

    /// The siblings from `leaf` up to the root; `None` if the leaf is not in the tree.
    #[must_use]
    pub fn proof(&self, leaf: &Hash) -> Option<Vec<Hash>> {
        let found = self.leaves.binary_search_by(|(other, _)| other.cmp(leaf)).ok()?;
        let mut at = self.leaves[found].1;
        let mut proof = Vec::new();
        while at > 0 {
            let sibling = if at % 2 == 1 { at + 1 } else { at - 1 };
            proof.push(self.nodes[sibling]);
            at = (at - 1) / 2;
        }
        Some(proof)
    }
}

/// The root that `proof` leads to from `leaf`.
#[must_use]
pub fn root_of(leaf: &Hash, proof: &[Hash]) -> Hash {
    proof.iter().fold(*leaf, |at, sibling| node(&at, sibling))
}

/// Whether `proof` leads from `leaf` to `root`.
#[must_use]
pub fn verify(root: &Hash, leaf: &Hash, proof: &[Hash]) -> bool {
    root_of(leaf, proof) == *root
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn leaves(n: usize) -> Vec<Hash> {
        (0..n).map(|i| leaf(&i.to_be_bytes())).collect()
    }

    #[test]
    fn keccak_is_not_sha3() {
        let empty = hex::encode(keccak256(&[]));
        assert_eq!(empty, "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
    }

    #[test]
    fn the_root_is_that_of_openzeppelin() {
        // Each letter ABI-encoded as one string, which is how OpenZeppelin encodes a leaf.
        let encode = |text: &str| {
            let mut words = [0_u8; 96];
            words[31] = 0x20;
            words[63] = 1;
            words[64] = text.as_bytes()[0];
            leaf(&words)
        };
        // The root that StandardMerkleTree.of([["a"], ["b"], ["c"]], ["string"]) renders.
        let tree = Tree::new(["a", "b", "c"].map(encode).to_vec()).unwrap();
        let expected = "f2129b5a697531ef818f644564a6552b35c549722385bc52aa7fe46c0b5f46b1";
        assert_eq!(hex::encode(tree.root()), expected);
    }

    #[test]
    fn one_leaf_is_its_own_root_and_none_has_no_tree() {
        let tree = Tree::new(leaves(1)).unwrap();
        assert_eq!(tree.root(), leaves(1)[0]);
        assert_eq!(tree.proof(&leaves(1)[0]), Some(vec![]));
        assert_eq!(Tree::new(vec![]), None);
    }

    #[test]
    fn a_foreign_leaf_has_no_proof() {
        assert_eq!(Tree::new(leaves(5)).unwrap().proof(&leaf(b"foreign")), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn every_leaf_is_proved_and_no_other(n in 1_usize..70, flipped in 0_usize..256) {
            let all = leaves(n);
            let tree = Tree::new(all.clone()).unwrap();
            for leaf in &all {
                let proof = tree.proof(leaf).unwrap();
                prop_assert!(verify(&tree.root(), leaf, &proof));
                let mut other = *leaf;
                other[flipped / 8] ^= 1 << (flipped % 8);
                prop_assert!(!verify(&tree.root(), &other, &proof));
            }
        }
    }
}
