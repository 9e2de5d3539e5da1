#!/usr/bin/env python3
"""Reads one JSON object and checks values: expect.py key=value ... (null for none)."""
import json
import sys

found = json.load(sys.stdin)
wrong = []
for pair in sys.argv[1:]:
    key, text = pair.split("=", 1)
    wanted = json.loads(text)
    if found.get(key, "missing") != wanted:
        wrong.append(f"{key}: wanted {wanted!r}, found {found.get(key, 'missing')!r}")
print(json.dumps(found))
sys.exit("; ".join(wrong) or 0)
