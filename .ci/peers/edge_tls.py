#!/usr/bin/env python3
"""The edge as an operator sets it up, by the real commands, over Mosquitto with TLS and access rules by certificate.

Certificates are made by .ci/compose/init and the broker runs with config/mosquitto, as in the compose stack. Two
agents are enrolled, approved and run against live ingest and market; one of them uses the other's certificate
first, which the broker denies.

edge_tls.py PROGRAMS         (in PROGRAMS: meter-agent, market; DATABASE_URL names a migrated database)
"""
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from urllib.parse import urlsplit

import psycopg

PROGRAMS = pathlib.Path(sys.argv[1]).resolve()
# The migrated database is copied, so that each run begins with an empty one.
MIGRATED_URL = os.environ["DATABASE_URL"]
COPY = f"busbar_edge_{os.getpid()}"
DATABASE_URL = urlsplit(MIGRATED_URL)._replace(path=f"/{COPY}").geturl()
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
PATIENCE_S = 60
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
running = []


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start(name, *command):
    log = open(work / f"{name}.log", "ab")
    process = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log, cwd=REPOSITORY, env=ENVIRONMENT)
    running.append(process)
    return process


def stop(process):
    process.terminate()
    process.wait(30)


def call(*command, status=0):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=REPOSITORY, env=ENVIRONMENT)
    if done.returncode != status:
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def show_logs():
    for log in sorted(work.glob("*.log")):
        print(f"--- {log.name}", log.read_text(errors="replace")[-2000:], sep="\n")


def until(what, test):
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        found = test()
        if found:
            return found
        time.sleep(0.2)
    show_logs()
    sys.exit(f"not within {PATIENCE_S} s: {what}")


def listens(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def query(statement, *values):
    with psycopg.connect(DATABASE_URL) as database:
        return database.execute(statement, values).fetchall()


def readings(meter):
    return [row[0] for row in query("SELECT slot_end FROM readings WHERE meter_id = %s ORDER BY slot_end", meter)]


def certificates():
    environment = {**ENVIRONMENT, "BUSBAR_DIR": str(work)}
    for agent in ("agent-001", "agent-002"):
        subprocess.run([REPOSITORY / ".ci/compose/init", "--agent", agent], check=True, env=environment, stdout=subprocess.DEVNULL)


def broker():
    """The compose stack's own configuration, on this machine's paths and ports."""
    (work / "data").mkdir()
    shutil.copytree(REPOSITORY / "config/mosquitto", work / "mosquitto")
    text = (work / "mosquitto/mosquitto.conf").read_text()
    outside, inside = free_port(), free_port()
    for here, there in [
        ("/mosquitto/certificates", work / "secrets/mqtt"), ("/mosquitto/config", work / "mosquitto"),
        ("/mosquitto/data", work / "data"), ("listener 8883", f"listener {outside} 127.0.0.1"),
        ("listener 1883", f"listener {inside} 127.0.0.1"),
    ]:  # fmt: skip
        assert here in text, here
        text = text.replace(here, str(there))
    # As root Mosquitto drops to a user that cannot enter our folder.
    user = "user root\n" if os.getuid() == 0 else ""
    (work / "broker.conf").write_text(user + text)
    start("mosquitto", "mosquitto", "-c", work / "broker.conf")
    until("the broker listens", lambda: listens(outside) and listens(inside))
    return outside, inside


def platform(inside):
    url = DATABASE_URL.split("?")[0]
    text = (REPOSITORY / "config/busbar.toml").read_text()
    text = re.sub(r"(?m)^url = \"postgres:.*$", f'url = "{url}"', text)
    text = re.sub(r"(?m)^url = \"mqtt:.*$", f'url = "mqtt://127.0.0.1:{inside}"', text)
    text = text.replace("slot_length_s = 900", "slot_length_s = 10", 1)
    config = work / "platform.toml"
    config.write_text(text)
    lines = ["member_id,display_name,pseudonym,chain_address,site_id,pv_peak_w,meter_id,agent_id,template_id"]
    lines += [f"{kind},,,0x{number:040x},,,,," for number, kind in enumerate(["grid", "network", "platform", "reserve"], 1)]
    for number in (1, 2):
        lines.append(
            f"member-{number},Member {number},P{number},0x{number + 100:040x},site-{number},0,meter-{number},agent-00{number},eastron_sdm630"
        )
    (work / "roster.csv").write_text("\n".join(lines) + "\n")
    call(PROGRAMS / "market", "--config", config, "enrol", "--roster", work / "roster.csv")
    start("market", PROGRAMS / "market", "--config", config, "run")
    for worker in (1, 2):
        start(f"ingest-{worker}", PROGRAMS / "meter-agent", "--config", config, "ingest")
    return config


def meter():
    port = free_port()
    start("meter", sys.executable, REPOSITORY / ".ci/peers/serve_registers.py", REPOSITORY / ".ci/peers/sdm630.json", "--port", port)
    until("the meter listens", lambda: listens(port))
    return port


def agent_config(number, certificate, outside, meter_port):
    pki = work / "secrets/mqtt"
    path = work / f"agent-{number}-as-{certificate}.toml"
    path.write_text(f"""
[telemetry]
log_filter = "info"
log_format = "text"
[mqtt]
url = "mqtts://localhost:{outside}"
ca_file = "{pki}/ca.crt"
client_certificate_file = "{pki}/agent-00{certificate}.crt"
client_key_file = "{pki}/agent-00{certificate}.key"
[meter-agent]
community_id = "community"
agent_id = "agent-00{number}"
slot_length_s = 10
data_dir = "{work}/agent-{number}"
resend_after_ms = 1000
[[meter-agent.devices]]
meter_id = "meter-{number}"
site_id = "site-{number}"
template = "eastron_sdm630"
endpoint = "tcp://127.0.0.1:{meter_port}"
unit = 1
""")
    return path


def admit(platform_config, number, config):
    """Enrolment, as operator and installer do it together."""
    told = json.loads(call(PROGRAMS / "meter-agent", "--config", config, "enrol", "--json"))
    assert told["status"] == "pending", told
    approve = [PROGRAMS / "market", "--config", platform_config, "approve-agent", "--agent-id", f"agent-00{number}"]
    call(*approve, "--fingerprint", "00" * 32, status=2)
    call(*approve, "--fingerprint", told["fingerprint"])
    told = json.loads(call(PROGRAMS / "meter-agent", "--config", config, "enrol", "--json"))
    assert told["status"] == "approved", told


def run_agent(number, config):
    return start(f"agent-{number}", PROGRAMS / "meter-agent", "--config", config, "run")


def administer(statement):
    server = urlsplit(MIGRATED_URL)._replace(path="/postgres").geturl()
    with psycopg.connect(server, autocommit=True) as database:
        database.execute(statement)


def main():
    migrated = urlsplit(MIGRATED_URL).path.strip("/")
    administer(f'CREATE DATABASE {COPY} TEMPLATE "{migrated}"')
    certificates()
    outside, inside = broker()
    platform_config = platform(inside)
    meter_port = meter()
    own = {number: agent_config(number, number, outside, meter_port) for number in (1, 2)}
    for number, config in own.items():
        call(PROGRAMS / "meter-agent", "--config", config, "check-config")
        admit(platform_config, number, config)
    print("enrolled, refused with a wrong fingerprint, approved with the right one")

    first = run_agent(1, own[1])
    until("agent-001's first reading is stored", lambda: readings("meter-1"))
    stop(first)
    # A key is replaced only when ingest has acknowledged all there was.
    rotate = [str(part) for part in (PROGRAMS / "meter-agent", "--config", own[1], "enrol", "--rotate", "--json")]
    for _ in range(10):
        done = subprocess.run(rotate, capture_output=True, text=True, cwd=REPOSITORY, env=ENVIRONMENT)
        if done.returncode == 0:
            break
        again = run_agent(1, own[1])
        time.sleep(5)
        stop(again)
    else:
        show_logs()
        sys.exit(f"what agent-001 read was not acknowledged: {done.stderr}")
    print("agent-001 over TLS with its own certificate: stored and acknowledged; its key replaced")

    # The second agent's readings with the first one's certificate: the broker's rules name the topic's owner.
    wrong = run_agent(2, agent_config(2, 1, outside, meter_port))
    log = work / "agent-2.log"
    until("the denial is said", lambda: "refuses our readings" in log.read_text(errors="replace"))
    assert not readings("meter-2"), "stored in spite of the broker's rules"
    kept = int(time.time()) // 10 * 10
    stop(wrong)
    right = run_agent(2, own[2])
    stored = until("what was denied comes with the right certificate", lambda: readings("meter-2"))
    assert stored[0].timestamp() <= kept, f"the denied reading of {kept} is lost: {stored[0]}"
    stop(right)
    print("agent-002 with agent-001's certificate: denied and said so, kept, delivered with its own")
    strangers = query("SELECT count(*) FROM quarantined_records")[0][0]
    assert strangers == 0, f"{strangers} records quarantined"


work = pathlib.Path(tempfile.mkdtemp(prefix="busbar-edge-"))
try:
    main()
finally:
    for process in running:
        if process.poll() is None:
            process.kill()
            process.wait()
    administer(f"DROP DATABASE IF EXISTS {COPY} WITH (FORCE)")
    shutil.rmtree(work, ignore_errors=True)
