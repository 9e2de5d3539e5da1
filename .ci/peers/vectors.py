#!/usr/bin/env python3
"""Every register vector of meter-agent/tests/vectors, served by pymodbus and read by the program itself.

What it prints must be what the vector expects. SunSpec devices are decoded by pysunspec2 as well, which must
agree, and `scan` must find the models that pysunspec2 finds.

vectors.py PROGRAM FOLDER
"""
import asyncio
import json
import pathlib
import sys

import sunspec2.modbus.client as sunspec
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

PROGRAM, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2])
INVERTERS = (103, 102, 101, 113, 112, 111, 701)
METERS = (203, 204, 202, 201, 213, 214, 212, 211)
EMPTY = [SimData(65535, values=0, datatype=DataType.REGISTERS)]


def blocks(found):
    """Neighbouring pieces of a map, joined: a device answers a request over both."""
    words = {}
    for at, text in found.items():
        for offset in range(0, len(text), 4):
            words[int(at) + offset // 4] = int(text[offset : offset + 4], 16)
    joined = []
    for at in sorted(words):
        if joined and joined[-1][0] + len(joined[-1][1]) == at:
            joined[-1][1].append(words[at])
        else:
            joined.append((at, [words[at]]))
    return [SimData(at, values=values, datatype=DataType.REGISTERS) for at, values in joined] or EMPTY


async def serve(vector, unit):
    maps = vector["registers"]
    bits = [SimData(0, count=1, values=False, datatype=DataType.BITS)]
    device = SimDevice(unit, simdata=(bits, bits, blocks(maps.get("holding", {})), blocks(maps.get("input", {}))))
    server = ModbusTcpServer(device, address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    return server, server.transport.sockets[0].getsockname()[1]


async def run(*args):
    process = await asyncio.create_subprocess_exec(PROGRAM, *args, "--json", stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    if process.returncode != 0:
        raise AssertionError(f"{args[0]} ended with {process.returncode}")
    return json.loads(out)


def close(found, wanted):
    if found is None or wanted is None:
        return found is wanted
    return abs(found - wanted) <= 1e-6 * max(1.0, abs(wanted))


def differences(found, expect):
    """What the program printed, against the vector: energies there are in mWh, here in Wh."""
    pairs = [
        ("import_wh", "import_energy", 1000), ("export_wh", "export_energy", 1000),
        ("production_wh", "production_energy", 1000), ("power_w", "power", 1),
        ("voltage_v", "voltage", 1), ("frequency_hz", "frequency", 1),
    ]  # fmt: skip
    wrong = []
    for name, wanted, divisor in pairs:
        value = expect.get(wanted)
        value = None if value is None else (value + divisor // 2) // divisor if divisor > 1 else value
        if not close(found[name], value):
            wrong.append(f"{name}: {found[name]} instead of {value}")
    if found["device"]["serial"] != expect.get("serial"):
        wrong.append(f"serial: {found['device']['serial']} instead of {expect.get('serial')}")
    return wrong


def decode(port, unit):
    """What pysunspec2 makes of the same registers."""
    device = sunspec.SunSpecModbusClientDeviceTCP(slave_id=unit, ipaddr="127.0.0.1", ipport=port, timeout=5)
    device.scan()
    models = {}
    for model in device.model_list:
        models.setdefault(model.model_id, model)
    ids = [model.model_id for model in device.model_list]
    device.close()
    return ids, models


def against_sunspec(found, models, template):
    """The meter's values if there is one and the template does not leave it aside, else the inverter's."""
    wanted = INVERTERS if template == "sunspec_inverter" else METERS + INVERTERS
    model = next((models[number] for number in wanted if number in models), None)
    if model is None:
        return ["pysunspec2 finds neither meter nor inverter"]
    if model.model_id in METERS:
        names = {"import_wh": "TotWhImp", "export_wh": "TotWhExp", "voltage_v": "PhVphA", "frequency_hz": "Hz"}
    elif model.model_id == 701:
        names = {"import_wh": "TotWhAbs", "export_wh": "TotWhInj", "voltage_v": "LNV", "frequency_hz": "Hz"}
    else:
        names = {"export_wh": "WH", "voltage_v": "PhVphA", "frequency_hz": "Hz"}
    wrong = []
    for name, theirs in names.items():
        value = model.points[theirs].cvalue
        if not close(found[name], value):
            wrong.append(f"{name}: {found[name]}, but pysunspec2 has {value}")
    # The sign is the template's to know.
    ours, theirs = found["power_w"], model.points["W"].cvalue
    if not close(None if ours is None else abs(ours), None if theirs is None else abs(theirs)):
        wrong.append(f"power_w: {ours}, but pysunspec2 has {theirs}")
    return wrong


decoded_twice = []


async def check(path):
    vector = json.loads(path.read_text(encoding="utf-8"))
    if not vector.get("registers"):
        return None
    unit = vector.get("unit", 1)
    server, port = await serve(vector, unit)
    endpoint = ["--endpoint", f"tcp://127.0.0.1:{port}"]
    try:
        found = await run("read", "--template", vector["template"], *endpoint, "--unit", str(unit))
        wrong = differences(found, vector["expect"])
        if any(text.startswith("53756E53") for text in vector["registers"].get("holding", {}).values()):
            ids, models = await asyncio.to_thread(decode, port, unit)
            decoded_twice.append(path.name)
            wrong += against_sunspec(found, models, vector["template"])
            scanned = await run("scan", *endpoint, "--units", str(unit))
            ours = [model["id"] for model in scanned["units"][0]["sunspec"]["models"]]
            if ours != ids:
                wrong.append(f"models: {ours}, but pysunspec2 has {ids}")
        return wrong
    finally:
        await server.shutdown()


async def main():
    read, failed = 0, 0
    for path in sorted(FOLDER.glob("*.json")):
        wrong = await check(path)
        if wrong is None:
            continue
        read += 1
        if wrong:
            failed += 1
            print(f"{path.name}: " + "; ".join(wrong))
    print(f"{read} vectors read over pymodbus, {len(decoded_twice)} decoded by pysunspec2 too, {failed} wrong")
    sys.exit(1 if failed or not decoded_twice else 0)


asyncio.run(main())
