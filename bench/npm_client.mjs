// OpenAI's npm client with p-limit, as its users run it; answers written to a file.
//
//   npm_client.mjs BASE_URL REQUESTS IN_FLIGHT    (openai and p-limit in node_modules beside it)

import { createWriteStream } from 'node:fs';
import OpenAI from 'openai';
import pLimit from 'p-limit';

const [baseURL, requests, inFlight] = [process.argv[2], +process.argv[3], +process.argv[4]];
const client = new OpenAI({ baseURL, apiKey: 'none' });
const limit = pLimit(inFlight);
const filler = ' The quick brown fox jumps over the lazy dog.'.repeat(50);
const out = createWriteStream('/dev/null');

async function complete(i) {
  const reply = await client.chat.completions.create({
    model: 'bench',
    messages: [
      { role: 'system', content: 'Summarise the document.' },
      { role: 'user', content: (`Document ${i}.` + filler).slice(0, 2048) },
    ],
    max_tokens: 1024,
  });
  out.write(JSON.stringify(reply.choices[0].message.content) + '\n');
  return reply.usage.completion_tokens;
}

const began = performance.now();
const counts = await Promise.all(
  Array.from({ length: requests }, (_, i) => limit(() => complete(i))),
);
const tokens = counts.reduce((sum, count) => sum + count, 0);
console.log(JSON.stringify({ seconds: (performance.now() - began) / 1000, tokens }));
process.exit(0);
