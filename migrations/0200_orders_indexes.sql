-- The check that a trade's orders exist goes by (community_id, order_id). A connection plans it once, and while statistics say
-- that `orders` is empty, every index that begins with the community looks as good as the key: the check then
-- read all orders of the community for each trade, until statistics were next gathered. These indexes begin with what
-- they are asked for, so that only the key serves that check.
DROP INDEX orders_by_member;
CREATE INDEX orders_by_member ON orders (member_id, community_id, slot_start DESC);
DROP INDEX orders_by_slot;
CREATE INDEX orders_by_slot ON orders (slot_start, community_id, status);
