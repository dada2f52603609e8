"""The client of the article that docmill began from, written anew from its description: pooled
connections (200, 100 a host, DNS kept 300 s), a Bearer key, at most 100 in flight, up to three
tries, and all tasks and answers in memory. Nothing is durable.

    aiohttp_client.py URL REQUESTS IN_FLIGHT
"""

import asyncio
import json
import sys
import time

import aiohttp


class Client:
    def __init__(self, url, in_flight):
        self.url = url
        self.semaphore = asyncio.Semaphore(in_flight)
        self.in_flight = in_flight

    async def complete(self, session, text):
        payload = {
            "model": "bench",
            "messages": [
                {"role": "system", "content": "Summarise the document."},
                {"role": "user", "content": text},
            ],
            "temperature": 0.7,
            "max_tokens": 4096,
        }
        async with self.semaphore:
            for attempt in range(3):
                async with session.post(self.url, json=payload) as response:
                    if response.status == 429:
                        await asyncio.sleep(2**attempt)
                        continue
                    response.raise_for_status()
                    reply = await response.json()
                    return reply["choices"][0]["message"]["content"], reply["usage"]
        raise RuntimeError("no answer after 3 tries")

    async def batch(self, texts):
        connector = aiohttp.TCPConnector(
            limit=2 * self.in_flight, limit_per_host=self.in_flight, ttl_dns_cache=300
        )
        async with aiohttp.ClientSession(
            connector=connector,
            headers={"Authorization": "Bearer none"},
            timeout=aiohttp.ClientTimeout(total=60),
        ) as session:
            return await asyncio.gather(*(self.complete(session, text) for text in texts))


def main():
    url, requests, in_flight = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    filler = " The quick brown fox jumps over the lazy dog." * 50
    texts = [(f"Document {i}." + filler)[:2048] for i in range(requests)]
    began = time.perf_counter()
    answers = asyncio.run(Client(url, in_flight).batch(texts))
    seconds = time.perf_counter() - began
    assert all(content for content, _ in answers)
    tokens = sum(usage["completion_tokens"] for _, usage in answers)
    print(json.dumps({"seconds": seconds, "tokens": tokens}))


main()
