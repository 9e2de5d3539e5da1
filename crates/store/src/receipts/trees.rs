//! The trees that receipts' proofs come from: each is built once, and the last ones used are kept.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use domain::ids::{AccountId, CommunityId};
use receipt::merkle::{Hash, Tree};
use receipt::{Receipt, SlotRevision};
use sqlx::PgPool;

use crate::StoreError;
use crate::communities::Community;
use crate::error::corrupt;
use crate::statements;

/// The most trees that are kept, and the most leaves in all of them (some 100 bytes each).
const MAX_TREES: usize = 64;
const MAX_LEAVES: usize = 500_000;

/// The last trees used, shared by whoever serves receipts.
#[derive(Debug, Default)]
pub struct Trees(Mutex<VecDeque<Kept>>);

/// A tree, by the batch it belongs to. A batch's root never changes once it is final.
#[derive(Debug, Clone)]
struct Kept {
    community: CommunityId,
    slot_start: DateTime<Utc>,
    revision: i32,
    root: Vec<u8>,
    leaves: usize,
    tree: Arc<Tree>,
}

/// A batch that is final.
struct Batch {
    revision: i32,
    statement_root: Vec<u8>,
}

impl Trees {
    /// An account's receipt of a slot at `revision`, or at the latest whose batch is final. `None` if no
    /// such batch is final (one that moved nothing is not on the chain) or the account has no statement.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer, or if its statements do not lead to the root that
    /// the batch was settled with.
    pub async fn receipt(
        &self,
        pool: &PgPool,
        community: &Community,
        account: &AccountId,
        slot_start: DateTime<Utc>,
        revision: Option<i32>,
    ) -> Result<Option<Receipt>, StoreError> {
        let id = &community.community_id;
        let Some(domain) = super::domain(community)? else { return Ok(None) };
        let batch = sqlx::query_as!(
            Batch,
            "SELECT revision, statement_root FROM batches
             WHERE community_id = $1 AND slot_start = $2 AND status = 'final' AND revision = coalesce($3, revision)
             ORDER BY revision DESC LIMIT 1",
            id.as_str(),
            slot_start,
            revision
        )
        .fetch_optional(pool)
        .await?;
        let Some(batch) = batch else { return Ok(None) };
        let end = slot_start + community.slot_length.delta();
        let slot = SlotRevision { start: slot_start, end, revision: batch.revision };
        let Some(row) = statements::of_account(pool, id, slot_start, batch.revision, account).await? else {
            return Ok(None);
        };
        let tree = match self.kept(id, &slot, &batch.statement_root) {
            Some(tree) => tree,
            None => {
                let rows = statements::of_slot(pool, id, slot_start, batch.revision).await?;
                self.built(id, &slot, batch.statement_root, super::leaves(&domain, &slot, &rows))?
            }
        };
        let made = Receipt::new(
            &domain,
            &slot,
            (&row.account_id, &row.chain_address),
            ((&row).into(), &row.salt),
            &tree,
        );
        // A statement that was changed since its slot was settled has no leaf in the tree.
        made.map(Some).ok_or_else(|| unproved(slot_start))
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tree of a batch, if it is kept; it is the last used then.
    fn kept(&self, community: &CommunityId, slot: &SlotRevision, root: &[u8]) -> Option<Arc<Tree>> {
        let mut all = self.lock();
        let at = all.iter().position(|kept| {
            kept.slot_start == slot.start
                && kept.revision == slot.revision
                && kept.community == *community
                && kept.root == root
        })?;
        let found = all.remove(at)?;
        let tree = Arc::clone(&found.tree);
        all.push_back(found);
        Some(tree)
    }

    /// Builds a tree and keeps it, if it leads to the root; those not used for longest make room.
    fn built(
        &self,
        community: &CommunityId,
        slot: &SlotRevision,
        root: Vec<u8>,
        leaves: Vec<Hash>,
    ) -> Result<Arc<Tree>, StoreError> {
        let count = leaves.len();
        let tree =
            Tree::new(leaves).filter(|tree| tree.root() == *root).ok_or_else(|| unproved(slot.start))?;
        let tree = Arc::new(tree);
        let kept = Kept {
            community: community.clone(),
            slot_start: slot.start,
            revision: slot.revision,
            root,
            leaves: count,
            tree: Arc::clone(&tree),
        };
        let mut all = self.lock();
        all.push_back(kept);
        while all.len() > MAX_TREES || all.iter().map(|kept| kept.leaves).sum::<usize>() > MAX_LEAVES {
            all.pop_front();
        }
        Ok(tree)
    }
}

fn unproved(slot_start: DateTime<Utc>) -> StoreError {
    corrupt(format!("the statements of slot {slot_start} do not lead to its batch's root"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::fixtures;

    fn slot(number: i64) -> SlotRevision {
        let start = DateTime::from_timestamp(900 * number, 0).unwrap();
        SlotRevision { start, end: start, revision: 0 }
    }

    #[test]
    fn what_was_not_used_for_longest_makes_room() {
        let (trees, community) = (Trees::default(), CommunityId::new("demo").unwrap());
        let leaf = |number: usize| receipt::merkle::leaf(&number.to_be_bytes());
        let root = |number: usize| Tree::new(vec![leaf(number)]).unwrap().root().to_vec();
        let slots = |number: usize| slot(i64::try_from(number).unwrap());
        for number in 0..MAX_TREES {
            trees.built(&community, &slots(number), root(number), vec![leaf(number)]).unwrap();
        }
        assert!(trees.kept(&community, &slots(0), &root(0)).is_some(), "used, so it stays");
        assert!(trees.kept(&community, &slots(0), &root(1)).is_none(), "another root is another tree");
        trees.built(&community, &slots(MAX_TREES), root(7), vec![leaf(7)]).unwrap();
        assert!(trees.kept(&community, &slots(0), &root(0)).is_some());
        assert!(trees.kept(&community, &slots(1), &root(1)).is_none(), "this one made room");
        assert!(
            trees.built(&community, &slots(1), root(2), vec![leaf(1)]).is_err(),
            "no other root is pretended"
        );
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn a_slots_tree_is_built_once_and_a_changed_statement_has_no_proof(pool: PgPool) {
        fixtures::insert(&pool).await.unwrap();
        let id = CommunityId::new("demo").unwrap();
        let community = crate::communities::find(&pool, &id).await.unwrap().unwrap();
        let start: DateTime<Utc> = "2026-03-01T12:00:00Z".parse().unwrap();
        let trees = Trees::default();
        let of = async |name: &str| {
            trees.receipt(&pool, &community, &AccountId::new(name).unwrap(), start, None).await
        };
        let (anna, ben) = (of("anna").await.unwrap().unwrap(), of("ben").await.unwrap().unwrap());
        assert_eq!(anna.check().unwrap().root, ben.check().unwrap().root);
        assert_eq!(trees.lock().len(), 1);
        assert_eq!(of("dora").await.unwrap(), None);
        sqlx::query("UPDATE statements SET import_wh = import_wh + 1 WHERE account_id = 'ben'")
            .execute(&pool)
            .await
            .unwrap();
        assert!(of("ben").await.is_err(), "what was changed afterwards proves nothing");
        assert_eq!(of("anna").await.unwrap(), Some(anna), "hers still leads to the root on the chain");
    }
}
