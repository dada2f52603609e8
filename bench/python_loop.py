"""A plain Python script: a pool of threads, one kept connection each, answers appended to a file.

    python_loop.py URL REQUESTS IN_FLIGHT
"""

import concurrent.futures
import http.client
import json
import sys
import tempfile
import threading
import time
import urllib.parse

own = threading.local()


def complete(url, text):
    if not hasattr(own, "connection"):
        own.connection = http.client.HTTPConnection(url.hostname, url.port, timeout=60)
    body = json.dumps(
        {
            "model": "bench",
            "messages": [
                {"role": "system", "content": "Summarise the document."},
                {"role": "user", "content": text},
            ],
            "max_tokens": 1024,
        }
    )
    own.connection.request(
        "POST",
        url.path,
        body,
        {"content-type": "application/json", "authorization": "Bearer none"},
    )
    response = own.connection.getresponse()
    reply = json.loads(response.read())
    assert response.status == 200
    return reply["choices"][0]["message"]["content"], reply["usage"]


def main():
    url = urllib.parse.urlsplit(sys.argv[1])
    requests, in_flight = int(sys.argv[2]), int(sys.argv[3])
    filler = " The quick brown fox jumps over the lazy dog." * 50
    tokens = 0
    began = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(in_flight) as pool, tempfile.TemporaryFile("w") as out:
        texts = ((f"Document {i}." + filler)[:2048] for i in range(requests))
        for content, usage in pool.map(lambda text: complete(url, text), texts):
            out.write(json.dumps({"content": content, "usage": usage}) + "\n")
            tokens += usage["completion_tokens"]
    print(json.dumps({"seconds": time.perf_counter() - began, "tokens": tokens}))


main()
