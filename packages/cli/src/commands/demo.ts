// `demo`: realistic traffic and photographs through the public API of a running installation.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { askAssistant, runAgent, writeProductText, type Visit } from '../demo/applications.ts';
import { startModelStandIn } from '../demo/model-stand-in.ts';
import { ModelClient } from '../demo/model.ts';
import { showPhotos } from '../demo/photos.ts';
import { startTelemetry, type Telemetry } from '../demo/tracing.ts';
import { CannotAnswer, UsageError, type Command } from '../command.ts';

const HOUR_MS = 3_600_000;
// One day less than the default retention, so that the oldest day is whole.
const DEFAULT_DAYS = 6;
const MAX_DAYS = 30;
const FLUSH_EVERY_VISITS = 40;

const USERS = ['ana.lopes', 'b.keller', 'chen.wei', 'd.osei', 'e.rossi', 'f.haddad', 'g.novak', 'h.suzuki'];
const CUSTOMERS = ['nordlicht', 'casa-luz', 'atelier-9'];

export const command: Command = {
  summary: 'send realistic traffic and photographs through the public API',
  help: `
Usage: ./lumatrace demo [--data .data] [--days 6] [--no-photos]
       ./lumatrace demo --url URL --otlp-url URL         (key in LUMATRACE_API_KEY)

Runs a support assistant, a research agent and a text pipeline with the official OpenTelemetry SDK and the official
OpenAI client against a bundled stand-in for a model provider (no model, no network), spreads what they did over the
last days, then protects, degrades and verifies three photographs. Everything goes through the public API.

  --data       where \`up\` keeps its data: the address and the key are read from first-run.json there
  --days       how many days back the traffic reaches (1 to ${MAX_DAYS})
  --no-photos  telemetry only`,
  options: {
    data: { type: 'string' },
    url: { type: 'string' },
    'otlp-url': { type: 'string' },
    days: { type: 'string' },
    'no-photos': { type: 'boolean' },
  },
  async run(values) {
    const target = await targetOf(values);
    const days = values['days'] === undefined ? DEFAULT_DAYS : Number(values['days']);
    if (!Number.isInteger(days) || days < 1 || days > MAX_DAYS)
      throw new UsageError(`Expected --days 1 to ${MAX_DAYS}.`);
    const traces = await sendTraffic(target, days, Date.now());
    process.stdout.write(`sent ${traces} traces over the last ${days} days\n`);
    if (values['no-photos'] !== true) {
      for (const { file, what, authentic, c2paStatus, watermarkStatus } of await showPhotos(
        target.url,
        target.apiKey,
      )) {
        const verdict = authentic ? 'authentic' : 'not authentic';
        process.stdout.write(
          `${file.padEnd(16)} ${what.padEnd(28)} ${verdict.padEnd(14)} credentials ${c2paStatus}, watermark ${watermarkStatus}\n`,
        );
      }
    }
    process.stdout.write(`look at ${target.url}\n`);
    return 0;
  },
};

interface Target {
  url: string;
  otlpUrl: string;
  apiKey: string;
}

async function targetOf(values: Record<string, string | boolean | undefined>): Promise<Target> {
  if (typeof values['url'] === 'string') {
    const apiKey = process.env['LUMATRACE_API_KEY'];
    if (apiKey === undefined) throw new UsageError('Expected the key in LUMATRACE_API_KEY, since --url is given.');
    const otlpUrl = typeof values['otlp-url'] === 'string' ? values['otlp-url'] : values['url'];
    return { url: values['url'], otlpUrl, apiKey };
  }
  const file = join(typeof values['data'] === 'string' ? values['data'] : '.data', 'first-run.json');
  try {
    const { url, otlpUrl, apiKey } = JSON.parse(await readFile(file, 'utf8')) as Target;
    return { url, otlpUrl, apiKey };
  } catch (cause) {
    throw new CannotAnswer(`cannot read ${file}: start with \`./lumatrace up\` first, or give --url.`, { cause });
  }
}

async function sendTraffic(target: Target, days: number, nowMs: number): Promise<number> {
  const standIn = await startModelStandIn();
  const start = (service: string, environment: string): Telemetry =>
    startTelemetry(service, environment, target.otlpUrl, target.apiKey);
  const assistant = start('support-assistant', 'production');
  const agent = start('research-agent', 'staging');
  const pipeline = start('text-pipeline', 'production');
  const all = [assistant, agent, pipeline];
  const model = new ModelClient(standIn.baseUrl);
  let sent = 0;
  try {
    for (const visit of visits(days, nowMs)) {
      await askAssistant(assistant, model, visit);
      if (visit.number % 5 === 0) await runAgent(agent, model, { ...visit, number: visit.number / 5 });
      if (visit.number % 4 === 0) await writeProductText(pipeline, model, { ...visit, number: visit.number / 4 });
      sent += 1 + Number(visit.number % 5 === 0) + Number(visit.number % 4 === 0);
      // The SDK's queue is bounded and drops silently: flush before it fills.
      if (visit.number % FLUSH_EVERY_VISITS === 0) await Promise.all(all.map((each) => each.flush()));
    }
    await Promise.all(all.map((each) => each.flush()));
  } finally {
    await Promise.allSettled(all.map((each) => each.shutdown()));
    await standIn.close();
  }
  return sent;
}

// Busy by day and quiet at night, a little more each day; oldest first, the newest a minute ago.
function* visits(days: number, nowMs: number): Generator<Visit> {
  let number = 0;
  for (let hour = days * 24; hour > 0; hour--) {
    const hourStartMs = nowMs - hour * HOUR_MS;
    const hourOfDay = new Date(hourStartMs).getUTCHours();
    const busy = Math.max(0.15, Math.sin(((hourOfDay - 5) / 16) * Math.PI));
    const count = Math.round(busy * (3 + (days * 24 - hour) / 40));
    for (let i = 0; i < count; i++) {
      number++;
      const offsetMs = Math.floor(((i + ((number * 37) % 100) / 100) / count) * (HOUR_MS - 60_000));
      yield {
        number,
        startMs: hourStartMs + offsetMs,
        customer: CUSTOMERS[(number * 7) % CUSTOMERS.length] as string,
        user: USERS[(number * 5) % USERS.length] as string,
      };
    }
  }
}
