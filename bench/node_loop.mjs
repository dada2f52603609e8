// A plain Node script: fetch, so many at once, answers written to a file.
//
//   node_loop.mjs URL REQUESTS IN_FLIGHT

import { createWriteStream } from 'node:fs';

const [url, requests, inFlight] = [process.argv[2], +process.argv[3], +process.argv[4]];
const filler = ' The quick brown fox jumps over the lazy dog.'.repeat(50);
const out = createWriteStream('/dev/null');
let next = 0;
let tokens = 0;

async function complete(text) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer none' },
    body: JSON.stringify({
      model: 'bench',
      messages: [
        { role: 'system', content: 'Summarise the document.' },
        { role: 'user', content: text },
      ],
      max_tokens: 1024,
    }),
  });
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return response.json();
}

async function lane() {
  while (next < requests) {
    const i = next++;
    const reply = await complete((`Document ${i}.` + filler).slice(0, 2048));
    out.write(JSON.stringify(reply.choices[0].message.content) + '\n');
    tokens += reply.usage.completion_tokens;
  }
}

const began = performance.now();
await Promise.all(Array.from({ length: inFlight }, lane));
console.log(JSON.stringify({ seconds: (performance.now() - began) / 1000, tokens }));
process.exit(0);
