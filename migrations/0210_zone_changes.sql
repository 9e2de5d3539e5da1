-- Zones of a market that runs, and what of a community may change while it does.

-- Which zone a site was put into, in the order of the commits: a running market reads its zones again when the newest number has
-- moved. joined_after: the latest slot that took orders already when the site brought a zone that the community did not
-- have; up to that slot the zone takes no part in the continuous auction, since bids were bounded by the fees among the others.
CREATE TABLE zone_changes (
    community_id text NOT NULL REFERENCES communities,
    change_id    bigint NOT NULL CHECK (change_id > 0),
    site_id      text NOT NULL,
    zone_id      text NOT NULL CHECK (length(zone_id) BETWEEN 1 AND 64),
    joined_after timestamptz,
    changed_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (community_id, change_id),
    FOREIGN KEY (community_id, site_id) REFERENCES sites
);
CREATE INDEX zone_changes_joined ON zone_changes (community_id, joined_after) WHERE joined_after IS NOT NULL;

-- Puts a site into a zone. Returns whether it is in it now: a site that has sent an order or was metered stays where it is, so that
-- no slot finds it in two zones.
CREATE FUNCTION assign_zone(of_community text, of_site text, into_zone text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    present sites%ROWTYPE;
    is_new boolean;
    brings_zone boolean;
    after timestamptz;
BEGIN
    -- One change after the other, so that numbers are in the order of the commits.
    PERFORM 1 FROM communities WHERE community_id = of_community FOR NO KEY UPDATE;
    SELECT * INTO present FROM sites WHERE community_id = of_community AND site_id = of_site FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    -- A site that this transaction inserted stands in its first zone without having been moved there.
    is_new := EXISTS (SELECT 1 FROM sites s WHERE s.community_id = of_community AND s.site_id = of_site
        AND s.xmin = pg_current_xact_id()::xid);
    brings_zone := NOT EXISTS (SELECT 1 FROM sites s WHERE s.community_id = of_community AND s.zone_id = into_zone
        AND s.site_id <> of_site);
    IF present.zone_id = into_zone AND NOT (is_new AND brings_zone) THEN
        RETURN true;
    END IF;
    IF NOT is_new AND (
        EXISTS (SELECT 1 FROM metered_sites m WHERE m.community_id = of_community AND m.site_id = of_site)
        OR EXISTS (SELECT 1 FROM commands c WHERE c.community_id = of_community AND c.member_id = present.member_id
            AND c.site_id = of_site)) THEN
        RETURN false;
    END IF;
    IF brings_zone THEN
        -- Locked, so that no slot opens before the zone is there.
        PERFORM 1 FROM slots s WHERE s.community_id = of_community AND s.status = 'scheduled' FOR SHARE;
        SELECT max(s.slot_start) INTO after FROM slots s WHERE s.community_id = of_community AND s.status <> 'scheduled';
    END IF;
    UPDATE sites SET zone_id = into_zone WHERE community_id = of_community AND site_id = of_site;
    INSERT INTO zone_changes (community_id, change_id, site_id, zone_id, joined_after)
    SELECT of_community, coalesce(max(z.change_id), 0) + 1, of_site, into_zone, after
    FROM zone_changes z WHERE z.community_id = of_community;
    RETURN true;
END $$;

-- Slots are cut by their length from the opening on, and every amount is in one currency: once there is a slot these stay.
CREATE FUNCTION communities_keep_their_slots() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.slot_length_s, NEW.market_opens_at, NEW.currency) IS DISTINCT FROM (OLD.slot_length_s, OLD.market_opens_at, OLD.currency)
        AND EXISTS (SELECT 1 FROM slots WHERE community_id = OLD.community_id) THEN
        RAISE EXCEPTION 'slot_length_s, market_opens_at and currency of community % stay as they are once it has slots: enrol a new community',
            OLD.community_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER communities_changed BEFORE UPDATE ON communities
    FOR EACH ROW EXECUTE FUNCTION communities_keep_their_slots();
