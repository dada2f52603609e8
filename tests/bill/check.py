#!/usr/bin/env python3
"""The bill, held against a provider's own log by another program.

A provider of its own (not `docmill simulate`) answers some ten thousand requests: cached, reasoning,
one-hour cache writes, by tier, by size, by another model than asked, unpriced, with its own word on
the cost, failed, cut, without usage. What each of them costs is computed here from its log, in exact
decimals, and every grouping of `docmill report` has to equal it to the last digit.

Usage: check.py DOCMILL [DOCUMENTS]
"""

import csv
import hashlib
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DOCMILL = os.path.abspath(sys.argv[1])
DOCUMENTS = int(sys.argv[2]) if len(sys.argv) > 2 else 1750
BATCHES = [("b1", "summarise", "acme"), ("b2", "summarise", "default"),
           ("b3", "translate --to de", "acme"), ("b4", "summarise", "zebra")]

CONFIG = """
[store]
path = "store.db"
[worker]
in_flight = 48
max_tries = 3
retry_base = "1ms"
retry_cap = "5ms"
breaker_failures = 1000
[defaults]
chain = ["tiered", "plain", "claude", "mystery", "stated"]
[providers.one]
base_url = "@URL@/v1"
in_flight = 48
[providers.two]
base_url = "@URL@/anthropic"
dialect = "anthropic"
in_flight = 48
[models.tiered]
provider = "one"
name = "gpt-t"
service_tier = "flex"
input = 2
cached_input = 0.5
output = 8
price_variants = [
  { above_tokens = 3000, input = 4.000001, cached_input = 1.1, output = 16 },
  { tier = "flex", input = 1, cached_input = 0.25, output = 4 } ]
[models.plain]
provider = "one"
name = "plain-1"
input = 0.42
cached_input = 0.042
output = 0.84
[models.sibling]
provider = "one"
name = "sibling-1"
input = 0.000003
output = 999.999999
[models.claude]
provider = "two"
name = "claude-x"
input = 3
cached_input = 0.3
cache_write_input = 3.75
cache_write_1h_input = 6
output = 15
[models.mystery]
provider = "one"
name = "mystery-1"
[models.stated]
provider = "one"
name = "stated-1"
"""

PER_TOKEN = Decimal(10) ** -6  # of a price per million tokens
UNPRICED = object()


def rates(*values):
    names = ("input", "cached", "write", "hour", "output")
    return dict(zip(names, (Decimal(v) for v in values)))


def price_of(asked, returned, tier, input_tokens):
    """The prices above, written down a second time."""
    if returned.startswith("sibling-1"):
        return rates("0.000003", "0.000003", "0.000003", "0.000003", "999.999999")
    if asked == "gpt-t":
        if tier == "priority":
            return None
        if input_tokens > 3000:
            return rates("4.000001", "1.1", "4.000001", "4.000001", "16")
        if tier == "flex":
            return rates("1", "0.25", "1", "1", "4")
        return rates("2", "0.5", "2", "2", "8")
    if asked == "plain-1":
        return rates("0.42", "0.042", "0.42", "0.42", "0.84")
    if asked == "claude-x":
        return rates("3", "0.3", "3.75", "6", "15")
    return None


MODEL_KEYS = {"gpt-t": "tiered", "plain-1": "plain", "claude-x": "claude", "mystery-1": "mystery",
              "stated-1": "stated"}

log = []
asked_before = {}
log_lock = threading.Lock()


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet

    def log_message(self, *args):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        text = json.dumps(body["messages"])
        batch, number = re.search(r"marker (b\d) (\d+) ", text).groups()
        is_anthropic = "/anthropic/" in self.path
        entry = {"batch": batch, "asked": body["model"], "fate": "?"}
        with log_lock:
            log.append(entry)
            # The seed is what was asked, and how often: so a retry may fare better.
            tries = asked_before.get((batch, number), 0)
            asked_before[(batch, number)] = tries + 1
        dice = hashlib.sha256(f"{batch} {number} {body['model']} {tries}".encode()).digest()
        fate = dice[0]
        if fate < 30:
            return self.refuse(entry, 500, "server_error")
        if fate < 45:
            return self.refuse(entry, 503, "overloaded_error")
        if fate < 52:
            return self.cut(entry)
        if fate < 75:
            return self.refuse(entry, 400, "content_policy_violation")
        self.answer(entry, dice, is_anthropic, body["model"], has_usage=fate < 250,
                    is_long=fate < 80)

    def refuse(self, entry, status, code):
        entry["fate"] = "refused"
        self.reply(status, {"error": {"message": "no", "type": code, "code": code}})

    def cut(self, entry):
        entry["fate"] = "cut"
        self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
                         b"content-length: 1000\r\n\r\n{\"choices\":[")
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def answer(self, entry, dice, is_anthropic, model, has_usage, is_long):
        prompt = 100 + dice[1] * 16 + dice[2]
        cached = min(prompt, dice[3] * 8 if dice[4] % 2 else 0)
        output = 1 + dice[5] * 3
        reasoning = min(output, dice[6])
        tier = ["flex", "default", "priority"][dice[7] % 3] if model == "gpt-t" else ""
        returned = model + ("-2026-01-01" if dice[8] % 3 else "")
        if model == "plain-1" and dice[9] % 8 == 0:
            returned = "sibling-1-2026-02-02"
        entry.update(fate="billed" if has_usage else "no usage", returned=returned, tier=tier,
                     output=output, reasoning=reasoning)
        if is_anthropic:
            write = dice[10] * 4
            hour = dice[11] % (write + 1)
            entry.update(fresh=prompt, cached=cached, write=write, hour=hour)
            reply = {"id": "m", "type": "message", "role": "assistant", "model": returned,
                     "content": [{"type": "text", "text": "an answer"}],
                     "stop_reason": "max_tokens" if is_long else "end_turn"}
            usage = {"input_tokens": prompt, "cache_read_input_tokens": cached,
                     "cache_creation_input_tokens": write, "output_tokens": output,
                     "cache_creation": {"ephemeral_5m_input_tokens": write - hour,
                                        "ephemeral_1h_input_tokens": hour},
                     "output_tokens_details": {"thinking_tokens": reasoning}}
        else:
            entry.update(fresh=prompt - cached, cached=cached, write=0, hour=0)
            reply = {"id": "c", "object": "chat.completion", "model": returned,
                     "choices": [{"index": 0, "finish_reason": "length" if is_long else "stop",
                                  "message": {"role": "assistant", "content": "an answer"}}]}
            usage = {"prompt_tokens": prompt, "completion_tokens": output,
                     "total_tokens": prompt + output,
                     "prompt_tokens_details": {"cached_tokens": cached},
                     "completion_tokens_details": {"reasoning_tokens": reasoning}}
            if tier:
                reply["service_tier"] = tier
            if model == "stated-1":
                entry["stated"] = f"0.{dice[12]:03}{dice[13]:03}{dice[14] % 10}"
                usage["cost"] = float(entry["stated"])
        if has_usage:
            reply["usage"] = usage
        self.reply(200, reply)

    def reply(self, status, value):
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()


def cost_of(entry):
    """What the request costs, or UNPRICED; only of a billed one."""
    prompt = entry["fresh"] + entry["cached"] + entry["write"]
    price = price_of(entry["asked"], entry["returned"], entry["tier"], prompt)
    if price is None:
        return Decimal(entry["stated"]) if "stated" in entry else UNPRICED
    return PER_TOKEN * (entry["fresh"] * price["input"] + entry["cached"] * price["cached"] +
                        (entry["write"] - entry["hour"]) * price["write"] +
                        entry["hour"] * price["hour"] + entry["output"] * price["output"])


def figures_of(entries):
    sums = dict.fromkeys(("requests", "input_tokens", "cached_tokens", "cache_write_tokens",
                          "output_tokens", "reasoning_tokens", "unpriced_requests", "unknown"), 0)
    sums["cost_usd"] = Decimal(0)
    for entry in entries:
        sums["requests"] += 1
        if entry["fate"] in ("cut", "no usage"):
            sums["unknown"] += 1
            if entry["asked"] in ("mystery-1", "stated-1"):  # unknown, and without a ceiling
                sums["unpriced_requests"] += 1
        if entry["fate"] != "billed":
            continue
        sums["input_tokens"] += entry["fresh"] + entry["cached"] + entry["write"]
        sums["cached_tokens"] += entry["cached"]
        sums["cache_write_tokens"] += entry["write"]
        sums["output_tokens"] += entry["output"]
        sums["reasoning_tokens"] += entry["reasoning"]
        cost = cost_of(entry)
        if cost is UNPRICED:
            sums["unpriced_requests"] += 1
        else:
            sums["cost_usd"] += cost
    return sums


def run(folder, *words, may_fail=False):
    done = subprocess.run([DOCMILL, *words], cwd=folder, capture_output=True, text=True, timeout=300)
    if done.returncode not in ((0, 1, 4) if may_fail else (0,)):
        sys.exit(f"docmill {' '.join(words)}: exit {done.returncode}\n{done.stderr}")
    return done.stdout


wrong = []


def expect(what, found, wanted):
    if found != wanted:
        wrong.append(f"{what}: docmill says {found}, the provider's log {wanted}")


def compare(what, row, wanted):
    for name in ("requests", "input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens",
                 "reasoning_tokens", "unpriced_requests"):
        expect(f"{what}, {name}", int(row[name]), wanted[name])
    # Of what had no price there is no cost, and 0 would be one.
    is_unpriced = wanted["cost_usd"] == 0 and wanted["unpriced_requests"] > 0
    expect(f"{what}, cost_usd", row["cost_usd"] == "", is_unpriced)
    expect(f"{what}, cost_usd", Decimal(row["cost_usd"] or 0), wanted["cost_usd"])


def grouped(folder, by):
    rows = list(csv.DictReader(io.StringIO(run(folder, "report", "--by", by, "--format", "csv"))))
    total = {}
    for name in ("jobs", "done", "failed", "requests", "retries", "fallbacks", "input_tokens",
                 "output_tokens", "unpriced_requests"):
        total[name] = sum(int(row[name]) for row in rows)
    for name in ("cost_usd", "possible_usd"):
        total[name] = sum((Decimal(row[name] or 0) for row in rows), Decimal(0))
    return rows, total


def check(folder):
    tasks = {name: (task.split()[0], tenant) for name, task, tenant in BATCHES}
    keys = {
        "batch": lambda e: e["batch"],
        "model": lambda e: MODEL_KEYS[e["asked"]],
        "provider": lambda e: "two" if e["asked"] == "claude-x" else "one",
        "task": lambda e: tasks[e["batch"]][0],
        "tenant": lambda e: tasks[e["batch"]][1],
    }
    keys["tenant,model"] = lambda e: (keys["tenant"](e), keys["model"](e))
    totals = {}
    for by, key in keys.items():
        rows, totals[by] = grouped(folder, by)
        groups = {}
        for entry in log:
            groups.setdefault(key(entry), []).append(entry)
        for row in rows:
            name = tuple(row[part] for part in by.split(",")) if "," in by else row[by]
            if name == "none" or (isinstance(name, tuple) and "none" in name):
                continue
            compare(f"by {by}, {name}", row, figures_of(groups.pop(name, [])))
        expect(f"by {by}, groups without a row", list(groups), [])
    for by in ("route", "day", "week", "month", "job", "attempt", "day,model"):
        totals[by] = grouped(folder, by)[1]
    for by, total in totals.items():
        for name, value in total.items():
            if by == "attempt" and name in ("jobs", "done", "failed"):
                continue  # a request is no document
            expect(f"the rows by {by} in sum, {name}", value, totals["batch"][name])
    everything = figures_of(log)
    said = json.loads(run(folder, "report", "--format", "json"), parse_float=Decimal)["totals"]
    compare("totals", said, everything)
    attempts = list(csv.DictReader(io.StringIO(
        run(folder, "report", "--by", "attempt", "--format", "csv"))))
    expect("unknown requests", sum(row["cost_basis"] == "unknown" for row in attempts),
           everything["unknown"])
    expect("requests whose cost is the provider's word",
           sum(row["cost_basis"] == "provider" for row in attempts),
           sum(entry["fate"] == "billed" and "stated" in entry for entry in log))
    page = run(folder, "report", "--format", "html")
    block = re.search(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.S).group(1)
    shown = json.loads(block)["totals"]
    for name in ("requests", "input_tokens", "cached_tokens", "output_tokens", "cost_usd",
                 "possible_usd", "unpriced_requests", "p50_ms", "p95_ms", "p99_ms"):
        expect(f"the page, {name}", shown[name], said[name])
    return everything


def main():
    folder = tempfile.mkdtemp(prefix="docmill-bill-")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with open(f"{folder}/docmill.toml", "w") as file:
            file.write(CONFIG.replace("@URL@", f"http://127.0.0.1:{server.server_port}"))
        os.chmod(f"{folder}/docmill.toml", 0o600)
        for name, task, tenant in BATCHES:
            with open(f"{folder}/{name}.jsonl", "w") as file:
                for i in range(DOCUMENTS):
                    file.write(json.dumps({"id": str(i), "text": f"marker {name} {i} of many"}) + "\n")
            run(folder, "submit", *task.split(), f"{name}.jsonl", "--batch", name, "--tenant", tenant,
                "--brake", "off")
        run(folder, "work", "--drain", "-q", may_fail=True)
        everything = check(folder)
    finally:
        server.shutdown()
        shutil.rmtree(folder, ignore_errors=True)
    if wrong:
        sys.exit("\n".join(wrong[:40]) + f"\n{len(wrong)} breaches")
    print(f"{everything['requests']} requests, {everything['unknown']} unknown, "
          f"{everything['unpriced_requests']} unpriced: ${everything['cost_usd']}, to the last digit")


main()
