// What the SDK costs a program: microseconds added per traced call and heap over a million calls, with a server that takes
// what is sent and with none; beside it, in the same run, OpenTelemetry's own SDK with the same span.
import { once } from 'node:events';
import { loadavg } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import { SpanKind } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { counts, initLumina, shutdown, traceLLM } from '@lumatrace/sdk';
import { progress, publish, quantile, round } from './report.ts';

const WARM_UP_CALLS = 20_000;
const TIMED_CALLS = 100_000;
const HEAP_CALLS = 1_000_000;
/** A program that calls models waits for them: the event loop turns between calls. */
const CALLS_PER_TURN = 5;
const HEAP_CALLS_PER_TURN = 100;
/** Nobody listens on the discard port. */
const AWAY = 'http://127.0.0.1:9';

/** About 2.7 kB of content in a span, as the ingest bench sends. */
const PROMPT = 'Summarise the following report for a busy reader. '.repeat(42);
const ANSWER = 'The report says that revenue grew while costs fell. '.repeat(10);
const COMPLETION = {
  id: 'chatcmpl-bench',
  model: 'gpt-4o',
  choices: [{ index: 0, message: { role: 'assistant', content: ANSWER }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 540, completion_tokens: 130, prompt_tokens_details: { cached_tokens: 0 } },
};

type Call = () => Promise<unknown>;

const bare: Call = async () => COMPLETION;
const traced: Call = () => traceLLM(bare, { name: 'bench', system: 'openai', model: 'gpt-4o', prompt: PROMPT });

/** The same span by hand on OpenTelemetry's SDK with its batch processor and OTLP exporter. */
function openTelemetry(url: string): { call: Call; shutdown: () => Promise<void> } {
  const exporter = new OTLPTraceExporter({ url: `${url}/v1/traces` });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'bench' }),
    spanProcessors: [new BatchSpanProcessor({ exporter })],
  });
  const tracer = provider.getTracer('bench');
  const call = (): Promise<unknown> =>
    tracer.startActiveSpan('bench', { kind: SpanKind.CLIENT }, async (span) => {
      span.setAttributes({
        'gen_ai.provider.name': 'openai',
        'gen_ai.request.model': 'gpt-4o',
        'gen_ai.input.messages': JSON.stringify([{ role: 'user', parts: [{ type: 'text', content: PROMPT }] }]),
      });
      const completion = (await bare()) as typeof COMPLETION;
      span.setAttributes({
        'gen_ai.operation.name': 'chat',
        'gen_ai.response.id': completion.id,
        'gen_ai.response.model': completion.model,
        'gen_ai.response.finish_reasons': ['stop'],
        'gen_ai.usage.input_tokens': completion.usage.prompt_tokens,
        'gen_ai.usage.output_tokens': completion.usage.completion_tokens,
        'gen_ai.output.messages': JSON.stringify([
          { role: 'assistant', parts: [{ type: 'text', content: ANSWER }], finish_reason: 'stop' },
        ]),
      });
      span.end();
      return completion;
    });
  return { call, shutdown: () => provider.shutdown().catch(() => undefined) };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface Times {
  p50Us: number;
  p99Us: number;
  /** Wall time of the whole loop per call, the sending between the calls included. */
  wholeUs: number;
}

async function measure(call: Call): Promise<Times> {
  const us = new Float64Array(TIMED_CALLS);
  for (let i = 0; i < WARM_UP_CALLS; i++) {
    await call();
    if (i % CALLS_PER_TURN === 0) await turn();
  }
  const startedMs = performance.now();
  for (let i = 0; i < TIMED_CALLS; i++) {
    const beforeMs = performance.now();
    await call();
    us[i] = (performance.now() - beforeMs) * 1_000;
    if (i % CALLS_PER_TURN === 0) await turn();
  }
  const wholeUs = ((performance.now() - startedMs) * 1_000) / TIMED_CALLS;
  const values = [...us];
  return { p50Us: quantile(values, 0.5), p99Us: quantile(values, 0.99), wholeUs };
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function heapMb(): number {
  collectGarbage();
  collectGarbage();
  return process.memoryUsage().heapUsed / 1e6;
}

/** From a started SDK that has sent nothing yet to the end of a million calls, buffer included. */
async function heapGrowth(call: Call): Promise<number> {
  for (let i = 0; i < 2_000; i++) await bare();
  const before = heapMb();
  for (let i = 0; i < HEAP_CALLS; i++) {
    await call();
    if (i % HEAP_CALLS_PER_TURN === 0) await turn();
  }
  return heapMb() - before;
}

/** A server in a thread of its own that takes everything and says so. */
async function startSink(): Promise<{ url: string; stop: () => Promise<unknown> }> {
  const worker = new Worker(
    `const { parentPort } = require('node:worker_threads');
     require('node:http').createServer((request, response) => {
       request.resume().on('end', () => response.writeHead(200, { 'content-type': 'application/json' }).end('{}'));
     }).listen(0, '127.0.0.1', function () { parentPort.postMessage(this.address().port); });`,
    { eval: true },
  );
  const [port] = (await once(worker, 'message')) as [number];
  return { url: `http://127.0.0.1:${port}`, stop: () => worker.terminate() };
}

function start(endpoint: string): void {
  initLumina({ endpoint, service_name: 'bench', timeout_ms: 2_000, on_warning: (message) => progress(message) });
}

const loadBefore = loadavg()[0] ?? NaN;
const sink = await startSink();
const plain = await measure(bare);
progress(`bare ${JSON.stringify(plain)}`);

const peer = openTelemetry(sink.url);
const otel = await measure(peer.call);
await peer.shutdown();
progress(`OpenTelemetry's SDK ${JSON.stringify(otel)}`);

start(sink.url);
const here = await measure(traced);
const sent = counts();
await shutdown();
progress(`SDK, server there ${JSON.stringify(here)} ${JSON.stringify(sent)}`);

start(AWAY);
const away = await measure(traced);
await shutdown();
progress(`SDK, server away ${JSON.stringify(away)}`);

start(sink.url);
const heapGrowthMb = await heapGrowth(traced);
await shutdown();
progress(`heap after a million calls, server there: ${heapGrowthMb}`);
start(AWAY);
const heapGrowthAwayMb = await heapGrowth(traced);
await shutdown();
progress(`heap after a million calls, server away: ${heapGrowthAwayMb}`);
await sink.stop();

publish(
  'sdk',
  {
    p50Us: round(here.p50Us - plain.p50Us, 2),
    p99Us: round(here.p99Us - plain.p50Us, 2),
    heapGrowthMb: round(heapGrowthMb, 2),
    p50AwayUs: round(away.p50Us - plain.p50Us, 2),
    p99AwayUs: round(away.p99Us - plain.p50Us, 2),
    heapGrowthAwayMb: round(heapGrowthAwayMb, 2),
    wholeUs: round(here.wholeUs - plain.wholeUs, 2),
    otelP50Us: round(otel.p50Us - plain.p50Us, 2),
    otelP99Us: round(otel.p99Us - plain.p50Us, 2),
    otelWholeUs: round(otel.wholeUs - plain.wholeUs, 2),
    ratioToOtelP50: round(here.p50Us / otel.p50Us, 2),
    ratioToOtelP99: round(here.p99Us / otel.p99Us, 2),
    spansSent: sent?.spans_sent,
    spansDropped: sent?.spans_dropped,
    calls: TIMED_CALLS,
    heapCalls: HEAP_CALLS,
    loadAverageBefore: round(loadBefore),
    loadAverageAfter: round(loadavg()[0] ?? NaN),
  },
  [
    'One `traceLLM` call around a function that answers at once, 2.7 kB of prompt and answer; from before the call to',
    'after its `await`, minus the median of the bare call. Calls come as fast as the machine makes them, far faster than',
    'models answer, so most spans are dropped by the bounded buffer, after they were made. `wholeUs` holds what happens',
    'between the calls too: redaction, encoding, compression, sending. `otel…` is the same span by hand on OpenTelemetry’s',
    'own SDK, batch processor and OTLP exporter, without redaction. Heap growth counts from an SDK that has not sent yet,',
    'its full buffer included, after a forced collection.',
  ],
);
