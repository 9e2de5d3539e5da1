#!/usr/bin/env python3
"""A Modbus TCP device that we did not write: pymodbus serves a register map given as JSON.

serve_registers.py MAP.json --port N      MAP: {"unit": 1, "holding": {"40000": [..words]}, "input": {"0": [..]}}
Ends by itself after --seconds (default 300).
"""
import argparse
import asyncio
import json

from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice


def registers(blocks):
    found = [SimData(int(at), values=words, datatype=DataType.REGISTERS) for at, words in blocks.items()]
    # A map without registers of a kind still needs a block of it.
    return sorted(found, key=lambda block: block.address) or [SimData(65535, values=0, datatype=DataType.REGISTERS)]


async def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("map")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=int, default=300)
    args = parser.parse_args()
    with open(args.map, encoding="utf-8") as file:
        device = json.load(file)
    bits = [SimData(0, count=1, values=False, datatype=DataType.BITS)]
    simulated = SimDevice(
        device["unit"],
        simdata=(bits, bits, registers(device.get("holding", {})), registers(device.get("input", {}))),
    )
    server = ModbusTcpServer(simulated, address=("127.0.0.1", args.port))
    task = asyncio.create_task(server.serve_forever())
    await asyncio.sleep(args.seconds)
    await server.shutdown()
    task.cancel()


asyncio.run(main())
