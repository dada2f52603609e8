"""Runs docmill and what it is held against side by side, and prints ratios.

    bench/run.py BUILD_DIR [--quick] [--only drain,latency,submit,scale,peers] [--rounds N]
                 [--json FILE]

Each round runs every contestant of a case once, one after the other, so that a machine that drifts
drifts for all of them; a ratio is taken within a round, and what is printed is the median of the
rounds with the least and the most. nginx on loopback is the provider: its answers are instant, or
come after a fixed time, and it shares the machine's cores, as each contestant does.
"""

import argparse
import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
TEXT_BYTES = 2048
PROSE_BYTES = 1 << 20
PATIENCE_S = 1800  # then a contestant is killed; the longest, a million jobs, takes minutes


class Run:
    """One contestant's one run."""

    def __init__(self, jobs, seconds, cpu_seconds, rss_kb):
        self.rate = jobs / seconds
        self.cpu_us = cpu_seconds / jobs * 1e6
        self.rss_mb = rss_kb / 1024


def spread(values, digits=2):
    middle = statistics.median(values)
    return f"{middle:,.{digits}f} ({min(values):,.{digits}f}-{max(values):,.{digits}f})"


def prose():
    """Sentences of made words, as often as words are: it packs about as well as English does."""
    dice = random.Random(1)
    syllables = [a + b + c for a in "bdfglmnprst" for b in "aeiou" for c in ("", "n", "r", "st")]
    words = sorted(
        {"".join(dice.choices(syllables, k=dice.choice((1, 1, 2, 2, 3)))) for _ in range(6000)},
        key=lambda word: (len(word) + dice.uniform(0, 6)),
    )
    often = [1 / (rank + 3) for rank in range(len(words))]
    sentences = []
    while sum(map(len, sentences)) < PROSE_BYTES:
        for _ in range(500):
            said = dice.choices(words, often, k=dice.randint(6, 22))
            sentences.append(" ".join(said).capitalize() + ". ")
    return "".join(sentences)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def measured(command, cwd, log=None):
    """Runs the command to its end: its output, wall seconds, CPU seconds and peak memory."""
    with open(log or os.devnull, "w") as errors:
        began = time.perf_counter()
        child = subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=errors)
        patience = threading.Timer(PATIENCE_S, child.kill)
        patience.start()
        output = child.stdout.read().decode()
        _, status, usage = os.wait4(child.pid, 0)
        patience.cancel()
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"{command[0]} ended with {child.returncode}; its words are in {log}")
    seconds = time.perf_counter() - began
    return output, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss


class Bench:
    def __init__(self, build, root, quick, rounds):
        self.docmill = build / "docmill"
        self.bare_loop = build / "bench" / "bare_loop"
        self.bare_insert = build / "bench" / "bare_insert"
        self.no_wal_sync = build / "bench" / "libno_wal_sync.so"
        self.root = root
        self.quick = quick
        self.rounds = rounds
        self.results = []
        self.cert = root / "cert.pem"
        self.plain_port, self.tls_port = free_port(), free_port()
        self.docs = {}
        self.prose = prose()

    # --- the provider

    def answer(self):
        content = "The document says in short what it says at length; its figures stay. " * 8
        return json.dumps(
            {
                "id": "chatcmpl-bench",
                "object": "chat.completion",
                "created": 1700000000,
                "model": "bench",
                "choices": [
                    {
                        "index": 0,
                        "message": {"role": "assistant", "content": content[:520]},
                        "logprobs": None,
                        "finish_reason": "stop",
                    }
                ],
                "usage": {
                    "prompt_tokens": 611,
                    "completion_tokens": 127,
                    "total_tokens": 738,
                    "prompt_tokens_details": {"cached_tokens": 0},
                    "completion_tokens_details": {"reasoning_tokens": 0},
                },
                "service_tier": "default",
            },
            separators=(",", ":"),
        )

    @contextlib.contextmanager
    def provider(self):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
            + ["-nodes", "-days", "2", "-subj", "/CN=localhost"]
            + ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", self.root / "key.pem"]
            + ["-out", self.cert],
            check=True,
            stderr=subprocess.DEVNULL,
        )
        conf = (HERE / "nginx.conf").read_text()
        for hole, value in {
            "ROOT": self.root,
            "ANSWER": self.answer(),
            "PLAIN_PORT": self.plain_port,
            "TLS_PORT": self.tls_port,
        }.items():
            conf = conf.replace(f"@{hole}@", str(value))
        (self.root / "nginx.conf").write_text(conf)
        nginx = subprocess.Popen(
            ["nginx", "-e", self.root / "error.log", "-c", self.root / "nginx.conf"]
        )
        try:
            for _ in range(100):
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", self.plain_port), 1).close()
                    break
                time.sleep(0.05)
            else:
                raise SystemExit(f"nginx does not answer; see {self.root / 'error.log'}")
            yield
        finally:
            nginx.terminate()
            nginx.wait(10)

    def base_url(self, place="instant", tls=False):
        scheme, port = ("https", self.tls_port) if tls else ("http", self.plain_port)
        return f"{scheme}://127.0.0.1:{port}/{place}"

    # --- docmill's side

    def text(self, number):
        at = number * 4099 % (len(self.prose) - TEXT_BYTES)
        return (f"Document {number}. " + self.prose[at : at + TEXT_BYTES])[:TEXT_BYTES]

    def documents(self, count):
        if count not in self.docs:
            path = self.root / f"docs-{count}.jsonl"
            with open(path, "w") as out:
                for i in range(count):
                    out.write(json.dumps({"id": f"doc-{i}", "text": self.text(i)}) + "\n")
            self.docs[count] = path
        return self.docs[count]

    def config(self, folder, in_flight, url):
        folder.mkdir(exist_ok=True)
        (folder / "docmill.toml").write_text(
            f"""[store]
path = "bench.db"
[worker]
in_flight = {in_flight}
[providers.local]
base_url = "{url}"
in_flight = {in_flight}
ca_file = "{self.cert}"
requests_per_minute = 1000000000
[models.bench]
provider = "local"
input = 0.42
output = 0.42
[defaults]
chain = ["bench"]
"""
        )

    def submit(self, folder, docs, batch="bench"):
        command = [self.docmill, "submit", "summarise", docs, "--batch", batch]
        return measured(command, folder, folder / "submit.log")

    @contextlib.contextmanager
    def fresh(self, in_flight, url):
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.root))
        self.config(folder, in_flight, url)
        try:
            yield folder
        finally:
            shutil.rmtree(folder)

    def drain(self, jobs, in_flight, url, preloaded=None):
        environment = ["env", f"LD_PRELOAD={preloaded}"] if preloaded else []
        with self.fresh(in_flight, url) as folder:
            self.submit(folder, self.documents(jobs))
            command = [*environment, self.docmill, "work", "--drain"]
            _, *run = measured(command, folder, folder / "work.log")
            with sqlite3.connect(folder / "bench.db") as store:
                done = store.execute("SELECT count(*) FROM job_output").fetchone()[0]
                inputs, outputs = (
                    store.execute(f"SELECT sum({bytes_of}) FROM {table}").fetchone()[0]
                    for table, bytes_of in (("job", "text_bytes"), ("job_output", "length(body)"))
                )
            store.close()
            assert done == jobs, f"{done} of {jobs} results"
            self.disk_ratio = os.path.getsize(folder / "bench.db") / (inputs + outputs)
            return Run(jobs, *run)

    # --- the others' side

    def loop(self, jobs, in_flight, url, mode, tls=False):
        command = [self.bare_loop, f"{url}/chat/completions", jobs, in_flight, mode]
        return self.contestant(jobs, command + ([self.cert] if tls else []))

    def contestant(self, jobs, command):
        log = self.root / "contestant.log"
        output, _, cpu, rss = measured([str(word) for word in command], self.root, log)
        return Run(jobs, json.loads(output)["seconds"], cpu, rss)

    # --- rounds and tables

    def case(self, name, contestants):
        """contestants: name -> function that makes one Run. The first is held against the others."""
        runs = {who: [] for who in contestants}
        for _ in range(self.rounds):
            for who, contestant in contestants.items():
                runs[who].append(contestant())
        first = next(iter(contestants))
        print(f"\n{name}")
        print(f"  {'':22}{'jobs/s':>27} {'CPU us/job':>22} {'RSS MB':>8}   {first} / this")
        for who, its in runs.items():
            ratios = [a.rate / b.rate for a, b in zip(runs[first], its)]
            row = {
                "case": name,
                "who": who,
                "rate": [run.rate for run in its],
                "cpu_us": [run.cpu_us for run in its],
                "rss_mb": max(run.rss_mb for run in its),
                "ratio": ratios,
            }
            self.results.append(row)
            print(
                f"  {who:22}{spread(row['rate'], 0):>27} {spread(row['cpu_us'], 1):>22}"
                f" {row['rss_mb']:8.0f}   {'' if who == first else spread(ratios)}"
            )
        sys.stdout.flush()

    def note(self, name, value, unit=""):
        self.results.append({"case": name, "value": value, "unit": unit})
        print(f"  {name}: {value:,.3f} {unit}".rstrip())
        sys.stdout.flush()

    # --- the cases

    def run_drain(self):
        jobs = 2000 if self.quick else 50_000
        for tls in (False, True):
            url = self.base_url(tls=tls)
            for in_flight in (64, 256):
                self.case(
                    f"drain: {jobs:,} documents of 2 KiB, {in_flight} in flight"
                    + (", TLS" if tls else ""),
                    {
                        "docmill": lambda: self.drain(jobs, in_flight, url),
                        "bare loop, poll": lambda: self.loop(jobs, in_flight, url, "poll", tls),
                        "bare loop, epoll": lambda: self.loop(jobs, in_flight, url, "epoll", tls),
                    },
                )
        self.note("store bytes / (text and result bytes)", self.disk_ratio)
        url = self.base_url()
        self.case(
            f"durability: {jobs:,} documents of 2 KiB, 64 in flight, FULL against NORMAL",
            {
                "docmill": lambda: self.drain(jobs, 64, url),
                "docmill, as NORMAL": lambda: self.drain(jobs, 64, url, self.no_wal_sync),
            },
        )

    def run_latency(self):
        cases = [(64, 127)] if self.quick else [(64, 127), (256, 50), (64, 500), (1000, 500), (2000, 500)]
        for in_flight, ms in cases:
            jobs = int(in_flight / ms * 1000 * (1 if self.quick else 10))
            url = self.base_url(str(ms))
            self.case(
                f"latency: {ms} ms, {in_flight} in flight"
                f" (ideal {in_flight / ms * 1000:,.0f} jobs/s)",
                {
                    "docmill": lambda: self.drain(jobs, in_flight, url),
                    "bare loop, epoll": lambda: self.loop(jobs, in_flight, url, "epoll"),
                },
            )

    def run_submit(self):
        jobs = 2000 if self.quick else 50_000
        docs = self.documents(jobs)
        folder_of_files = self.root / "files"
        folder_of_files.mkdir(exist_ok=True)
        for i in range(jobs):
            name = folder_of_files / f"{i % 100:02}" / f"{i}.txt"
            name.parent.mkdir(exist_ok=True)
            name.write_text(self.text(i))

        def submitted(what):
            with self.fresh(64, self.base_url()) as folder:
                _, *run = self.submit(folder, what)
                return Run(jobs, *run)

        def inserted():
            with self.fresh(64, self.base_url()) as folder:
                one = folder / "one.jsonl"
                one.write_text('{"id": "one", "text": "One."}\n')
                self.submit(folder, one)
                return self.contestant(jobs, [self.bare_insert, folder / "bench.db", jobs])

        for what, source in (("JSONL", docs), ("files", folder_of_files)):
            self.case(
                f"submit: {jobs:,} documents of 2 KiB, {what}",
                {"docmill": lambda: submitted(source), "bare inserts": inserted},
            )
        shutil.rmtree(folder_of_files)

    def rate_now(self, folder, seconds):
        """Jobs a second of a worker at work on the store: attempts that it opens, by their ids."""
        worker = subprocess.Popen(
            [self.docmill, "work"], cwd=folder, stderr=open(folder / "work.log", "w")
        )
        store = sqlite3.connect(f"file:{folder / 'bench.db'}?mode=ro", uri=True)
        newest = lambda: store.execute("SELECT coalesce(max(id), 0) FROM attempt").fetchone()[0]
        try:
            before = newest()
            deadline = time.monotonic() + 30
            while newest() < before + 500 and time.monotonic() < deadline:
                time.sleep(0.01)
            began, first = time.perf_counter(), newest()
            time.sleep(seconds)
            rate = (newest() - first) / (time.perf_counter() - began)
            status = pathlib.Path(f"/proc/{worker.pid}/status").read_text()
            rss_kb = int(status.split("VmHWM:")[1].split()[0])
        finally:
            store.close()
            worker.terminate()
            worker.wait(60)
        return rate, rss_kb / 1024

    def run_scale(self):
        sizes = (1000, 20_000) if self.quick else (1000, 100_000, 1_000_000)
        seconds = 0.5 if self.quick else 8
        url = self.base_url()
        rates = {}
        with contextlib.ExitStack() as stack:
            folders = {}
            print("\nscale: jobs queued, 64 in flight")
            for size in sizes[1:]:
                folders[size] = stack.enter_context(self.fresh(64, url))
                self.submit(folders[size], self.documents(size))
                rates[size] = []
            for _ in range(self.rounds):
                for size, folder in folders.items():
                    rate, rss_mb = self.rate_now(folder, seconds)
                    rates[size].append(rate)
            for size, its in rates.items():
                print(f"  {size:,} queued: {spread(its, 0)} jobs/s")
                self.results.append({"case": f"scale: {size} queued", "rate": its})
            large = sizes[-1]
            ratios = [b / a for a, b in zip(rates[sizes[1]], rates[large])]
            print(f"  {large:,} queued / {sizes[1]:,}: {spread(ratios)}")
            self.note(f"RSS with {large:,} queued and 64 in flight", rss_mb, "MB")
            self.start_up(folders[large], large)
            self.paused_before(folders[large], sizes[1], seconds, rates[sizes[1]])
        self.report_time(sizes[-1] if self.quick else 1_000_000)

    def start_up(self, folder, size):
        """A worker that is killed with 256 in flight, and how long the next one takes over."""
        in_flight = 256
        self.config(folder, in_flight, self.base_url("500"))
        store = sqlite3.connect(f"file:{folder / 'bench.db'}?mode=ro", uri=True)
        ask = lambda sql: store.execute(sql).fetchone()[0]
        errors = open(folder / "work.log", "w")
        worker = subprocess.Popen([self.docmill, "work"], cwd=folder, stderr=errors)
        deadline = time.monotonic() + 60
        open_now = "SELECT count(*) FROM attempt WHERE settled_at IS NULL"
        while ask(open_now) < in_flight and time.monotonic() < deadline:
            time.sleep(0.002)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        left = ask(open_now)
        lives = ask("SELECT count(*) FROM worker")
        began = time.perf_counter()
        worker = subprocess.Popen([self.docmill, "work"], cwd=folder, stderr=errors)
        while ask("SELECT count(*) FROM worker") == lives and time.monotonic() < deadline:
            time.sleep(0.002)
        took = time.perf_counter() - began
        store.close()
        worker.send_signal(signal.SIGTERM)
        worker.wait(60)
        self.note(f"start-up with {size:,} queued and {left} to recover", took, "s")
        self.config(folder, 64, self.base_url())

    def paused_before(self, folder, size, seconds, rates_alone):
        """A batch behind all that is left of a paused one."""
        subprocess.run([self.docmill, "pause", "bench"], cwd=folder, check=True, capture_output=True)
        docs = self.root / "behind.jsonl"
        with open(self.documents(size)) as lines, open(docs, "w") as out:
            out.writelines(line.replace("Document", "Paper") for line in lines)
        self.submit(folder, docs, "behind")
        rates = [self.rate_now(folder, seconds)[0] for _ in range(self.rounds)]
        ratios = [b / a for a, b in zip(rates_alone, rates)]
        print(f"  behind a paused batch / {size:,} alone: {spread(ratios)}")
        self.results.append({"case": "scale: behind a paused batch", "ratio": ratios})

    def report_time(self, attempts):
        with self.fresh(64, self.base_url()) as folder:
            self.submit(folder, self.documents(attempts))
            measured([self.docmill, "work", "--drain"], folder, folder / "work.log")
            _, seconds, _, rss_kb = measured(
                [self.docmill, "report", "bench", "--format", "json"], folder, folder / "report.log"
            )
        self.note(f"report over {attempts:,} attempts", seconds, "s")
        self.note("its RSS", rss_kb / 1024, "MB")

    def run_peers(self):
        jobs = 1000 if self.quick else 20_000
        url = self.base_url()
        full = f"{url}/chat/completions"
        contestants = {
            "docmill": lambda: self.drain(jobs, 64, url),
            "aiohttp client": lambda: self.contestant(
                jobs, ["/usr/bin/python3", HERE / "aiohttp_client.py", full, jobs, 100]
            ),
            "Python, threads": lambda: self.contestant(
                jobs, ["/usr/bin/python3", HERE / "python_loop.py", full, jobs, 64]
            ),
            "Node, fetch": lambda: self.contestant(
                jobs, ["node", HERE / "node_loop.mjs", full, jobs, 64]
            ),
        }
        if self.fetch_npm_client():
            contestants["npm client"] = lambda: self.contestant(
                jobs, ["node", self.root / "npm_client.mjs", url, jobs, 64]
            )
        self.case(f"peers: {jobs:,} documents of 2 KiB, without durability but ours", contestants)

    def fetch_npm_client(self):
        if self.quick:
            return False
        command = ["npm", "install", "--no-audit", "--no-fund", "openai@6", "p-limit@7"]
        fetched = subprocess.run(command, cwd=self.root, capture_output=True, timeout=PATIENCE_S)
        if fetched.returncode != 0:
            print("the npm client cannot be fetched here, so it is left out")
            return False
        shutil.copy(HERE / "npm_client.mjs", self.root)
        return True


def main():
    sections = ["drain", "latency", "submit", "scale", "peers"]
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true", help="small, once: that it runs at all")
    parser.add_argument("--only", default=",".join(sections))
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    wanted = args.only.split(",")
    unknown = [name for name in wanted if name not in sections]
    if unknown:
        parser.error(f"no such part: {unknown[0]}; there are {', '.join(sections)}")
    with tempfile.TemporaryDirectory(prefix="docmill-bench-", dir=args.build) as root:
        rounds = args.rounds or (1 if args.quick else 5)
        bench = Bench(args.build.resolve(), pathlib.Path(root).resolve(), args.quick, rounds)
        with bench.provider():
            for name in wanted:
                getattr(bench, f"run_{name}")()
        if args.json:
            args.json.write_text(json.dumps(bench.results, indent=1) + "\n")


if __name__ == "__main__":
    main()
