// `attack`: tries to break an instance of one's own, and says what it tried and what became of it.
import type { Command } from '../command.ts';
import { CannotAnswer, UsageError } from '../command.ts';
import { attack, type Report } from '../attack/attack.ts';
import { readCorpora } from '../attack/corpora.ts';
import { FAMILIES } from '../attack/families.ts';
import type { Family } from '../attack/family.ts';
import { givenStage, ownStage } from '../attack/stage.ts';
import { readyTools } from '../attack/tools.ts';

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);
const MAX_SEED = 2 ** 32 - 1;
const MAX_SECONDS = 86_400;
const MAX_REQUESTS = 1_000_000;

export const command: Command = {
  summary: 'try to break an instance of your own, and say what was tried',
  help: `
Usage: ./lumatrace attack [--json] [--seed N] [--family NAME] [--seconds N] [--requests N] [--url URL --data FOLDER]

Starts an instance with throw-away data and attacks it, one family of attacks after another. Each family is first
let loose on planted holes and must find them. Prints per family what was tried, refused and accepted, the errors
of the server, the 95th percentile of the time, and the seed.

  --json          one JSON object last on stdout, progress on stderr
  --seed N        the same seed makes the same attacks (default: drawn and printed)
  --family NAME   this family alone; several with commas: ${FAMILIES.map(({ name }) => name).join(', ')}
  --seconds N     begin no further family after so long
  --requests N    at most so many requests of each kind in a family
  --url URL       attack this instance of yours instead: loopback only. It writes into it; use one that you can lose
  --data FOLDER   its data folder, whose first-run.json holds the credentials

Public collections of hostile input are read from LUMATRACE_SUITES=FOLDER, checkouts named after their repositories
(docs/guides/attack.md lists them); without them small built-in ones are used, and the report says so.
Exit codes: 0 nothing got through and every planted hole was found, 1 otherwise, 2 wrong use, 3 cannot answer.`,
  options: {
    json: { type: 'boolean' },
    seed: { type: 'string' },
    family: { type: 'string' },
    seconds: { type: 'string' },
    requests: { type: 'string' },
    url: { type: 'string' },
    data: { type: 'string' },
  },
  async run(values, positionals) {
    if (positionals.length > 0) throw new UsageError(`Expected options only but received "${positionals[0]}".`);
    const families = familiesNamed(values['family']);
    const seed = numberOf(values['seed'], '--seed', MAX_SEED) ?? Math.floor(Math.random() * MAX_SEED);
    const secondsAtMost = numberOf(values['seconds'], '--seconds', MAX_SECONDS) ?? MAX_SECONDS;
    const most = numberOf(values['requests'], '--requests', MAX_REQUESTS) ?? MAX_REQUESTS;
    const corpora = readCorpora(process.env['LUMATRACE_SUITES']);
    const needsTools = families.some(({ needsTool, needsPooler }) => needsTool !== undefined || needsPooler === true);
    const tools = needsTools ? await readyTools(say) : undefined;
    const prepared =
      typeof values['url'] === 'string'
        ? await givenStage(loopback(values['url']), folderOf(values['data']), corpora, most).catch(cannotAttack)
        : await ownStage(corpora, most).catch(cannotAttack);
    if (tools !== undefined) prepared.stage.tools = tools;
    try {
      if (corpora.missing.length > 0) say(`built-in samples stand for: ${corpora.missing.join(', ')}`);
      const report = await attack(prepared, { families, seed, secondsAtMost, say });
      process.stdout.write(values['json'] === true ? `${JSON.stringify(report)}\n` : `${inWords(report)}\n`);
      return isClean(report) ? 0 : 1;
    } finally {
      await prepared.close();
    }
  },
};

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

function isClean({ accepted, serverErrors, restarts, planted, plantedFound, matrixMismatches }: Report): boolean {
  return accepted + serverErrors + restarts + matrixMismatches === 0 && planted === plantedFound;
}

function inWords(report: Report): string {
  const { perFamily: _, skipped, corpora, corporaMissing, ...figures } = report;
  const lines = Object.entries(figures).map(([name, value]) => `${name.padEnd(24)}${value}`);
  return [
    ...lines,
    `collections read        ${JSON.stringify(corpora)}`,
    `built-in instead        ${corporaMissing.join(', ') || 'none'}`,
    ...skipped.map(({ family, because }) => `skipped ${family}: ${because}`),
  ].join('\n');
}

function familiesNamed(names: unknown): readonly Family[] {
  if (typeof names !== 'string') return FAMILIES;
  return names.split(',').map((name) => {
    const family = FAMILIES.find((candidate) => candidate.name === name);
    if (family === undefined) throw new UsageError(`Expected the name of a family but received "${name}".`);
    return family;
  });
}

function numberOf(text: unknown, option: string, end: number): number | undefined {
  if (typeof text !== 'string') return undefined;
  const number = Number(text);
  if (!Number.isInteger(number) || number < 0 || number > end) {
    throw new UsageError(`Expected ${option} with a whole number up to ${end} but received "${text}".`);
  }
  return number;
}

/** Nobody is attacked with this but oneself. */
function loopback(url: string): string {
  if (!URL.canParse(url)) throw new UsageError(`Expected --url with an address but received "${url}".`);
  const { protocol, hostname, origin } = new URL(url);
  if (protocol !== 'http:' || !LOOPBACK.has(hostname)) {
    throw new UsageError(
      'Expected --url with http:// on loopback (localhost, 127.0.0.1 or [::1]): attack what is yours.',
    );
  }
  return origin;
}

function folderOf(data: unknown): string {
  if (typeof data === 'string') return data;
  throw new UsageError('Expected --data FOLDER beside --url: its first-run.json holds the credentials.');
}

function cannotAttack(error: unknown): never {
  throw new CannotAnswer(`There is nothing to attack: ${(error as Error).message}`);
}
