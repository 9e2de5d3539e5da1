#!/usr/bin/env python3
"""An independent verifier (pyocmf) judges the records stored in DATABASE_URL.

Each must be accepted with its agent's public key as it stands, and refused with one digit changed.
"""
import os
import sys

import psycopg
from pyocmf import OCMF, SignatureVerificationError

# The DER header of a P-256 public key (RFC 5480), before the uncompressed point.
SPKI = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
MOST = 200


def accepted(record, key):
    try:
        return OCMF.from_string(record).verify_signature(key)
    except SignatureVerificationError:
        return False


with psycopg.connect(os.environ["DATABASE_URL"]) as database:
    rows = database.execute(
        "SELECT r.record, a.public_key FROM readings r JOIN meters m USING (community_id, meter_id) "
        "JOIN agents a USING (community_id, agent_id) ORDER BY r.received_at LIMIT %s",
        (MOST,),
    ).fetchall()
if not rows:
    sys.exit("no records are stored")
for record, point in rows:
    key = (SPKI + point).hex()
    if not accepted(record, key):
        sys.exit(f"refused as it stands: {record}")
    start = record.index('"RV":') + 5
    digit = record[start]
    changed = record[:start] + ("1" if digit != "1" else "2") + record[start + 1 :]
    if accepted(changed, key):
        sys.exit(f"accepted with a digit changed: {changed}")
print(f"{len(rows)} records accepted as they stand and refused with a digit changed")
