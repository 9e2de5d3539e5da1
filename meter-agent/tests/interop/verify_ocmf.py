#!/usr/bin/env python3
"""Checks a signed record with an independent verifier (pyocmf): reads what `signed_record` prints
(the record, a line break, the public key in PEM form) from standard input. The record must be
accepted as strict OCMF, its registers read exactly, and every change of one digit refused."""
import base64
import decimal
import re
import sys

from pyocmf import OCMF


def key_hex(pem):
    return base64.b64decode("".join(pem.strip().splitlines()[1:-1])).hex()


def accepted(text, key):
    try:
        return bool(OCMF.from_string(text, strict=True).verify_signature(key))
    except Exception:  # any refusal counts, however it is said
        return False


def main():
    record, pem = sys.stdin.read().split("\n", 1)
    key = key_hex(pem)
    ocmf = OCMF.from_string(record, strict=True)
    assert ocmf.verify_signature(key), "the record is refused"
    values = {str(reading.RI): decimal.Decimal(reading.RV) for reading in ocmf.payload.RD}
    expected = {
        "01-00:01.08.00*FF": decimal.Decimal("24547.765625"),
        "01-00:02.08.00*FF": decimal.Decimal("10.250000"),
        "01-01:02.08.00*FF": decimal.Decimal("0.000001"),
    }
    assert values == expected, values
    payload_end = record.index("|", len("OCMF|"))
    digits = [match.start() for match in re.finditer(r"\d", record[:payload_end])]
    for at in digits:
        changed = record[:at] + str((int(record[at]) + 1) % 10) + record[at + 1 :]
        assert not accepted(changed, key), f"a changed digit at {at} was accepted"
    print(f"pyocmf accepts the record and refuses {len(digits)} records with one digit changed")


if __name__ == "__main__":
    main()
