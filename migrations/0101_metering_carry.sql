-- What a site's slots were given beyond its register, and the index that finds a meter's boundaries.

-- When a boundary is missing, its slot is substituted by the traded position, which may be more than
-- the register later shows. The surplus is carried, never below zero, and taken off the following
-- slots until it is used up, so that slots add up to the register difference.
ALTER TABLE metered_sites
    ADD COLUMN import_carry_wh bigint NOT NULL DEFAULT 0 CHECK (import_carry_wh >= 0),
    ADD COLUMN export_carry_wh bigint NOT NULL DEFAULT 0 CHECK (export_carry_wh >= 0);

-- A meter's last boundary at or before a time, and its next one after it.
CREATE INDEX readings_by_meter ON readings (community_id, meter_id, slot_end);

-- The few slots for which a reading came late, among the many that are settled.
CREATE INDEX slots_to_remeter ON slots (community_id, slot_start) WHERE needs_remetering;
