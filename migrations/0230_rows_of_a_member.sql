-- A member's sites, and what it bought in a slot, are asked for in every batch of orders. Without these the first read all sites
-- of the community and the second all trades of the slot or all of the member's past. Both begin with what they are asked
-- for, so that the checks of foreign keys go by the keys (see 0200).
CREATE INDEX sites_by_member ON sites (member_id, community_id);
CREATE INDEX trades_by_buyer ON trades (buyer_id, community_id, slot_start);
