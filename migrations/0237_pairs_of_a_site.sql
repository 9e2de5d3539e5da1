-- A member's page tells with whom its sites traded in the closing auction, too: without these it would read the pairs of
-- the whole community's past. They begin with what is asked for, so that the checks of foreign keys go by the keys (see 0200).
CREATE INDEX closing_pairs_by_buyer ON closing_pairs (buyer_site_id, community_id);
CREATE INDEX closing_pairs_by_seller ON closing_pairs (seller_site_id, community_id);
