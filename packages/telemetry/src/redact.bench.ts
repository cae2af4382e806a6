// How fast redaction reads realistic GenAI spans, with secrets only and with every built-in rule on.
// Run: node packages/telemetry/src/redact.bench.ts
import { trafficRequest } from '../test/traffic.ts';
import { encodeRequest } from '../test/wire.ts';
import { decodeTracesProtobuf } from './otlp/decode.ts';
import { compileRedaction, DEFAULT_REDACTION, type RedactionRules } from './redact.ts';

const SPANS = 100;
const REQUESTS = 40;
const ROUNDS = 9;

const bodies = Array.from({ length: REQUESTS }, (_, seed) => encodeRequest(trafficRequest(SPANS, seed + 1)));
const megabytes = bodies.reduce((sum, { length }) => sum + length, 0) / 1e6;
const everything: RedactionRules = {
  ...DEFAULT_REDACTION,
  personalData: true,
  rules: DEFAULT_REDACTION.rules.map((rule) => ({ ...rule, enabled: true })),
};

function measure(name: string, rules: RedactionRules): void {
  const redaction = compileRedaction(rules);
  const rates: number[] = [];
  let changed = 0;
  // decoded outside of what is timed
  for (let round = 0; round < ROUNDS; round++) {
    let elapsedMs = 0;
    for (const body of bodies) {
      const { spans } = decodeTracesProtobuf(body);
      // of the processor, so that others on the machine do not count
      const start = process.cpuUsage();
      const redacted = redaction.redactSpans(spans);
      const { user, system } = process.cpuUsage(start);
      elapsedMs += (user + system) / 1_000;
      for (let i = 0; i < spans.length; i++) if (spans[i] !== redacted[i]) changed++;
    }
    rates.push(megabytes / (elapsedMs / 1_000));
  }
  const rate = rates.sort((a, b) => a - b)[ROUNDS >> 1]!;
  const microseconds = (megabytes / rate / (SPANS * REQUESTS)) * 1e6;
  console.log(
    `${name.padEnd(24)} ${rate.toFixed(0).padStart(5)} MB/s  ${microseconds.toFixed(1)} µs/span  ${changed} changed`,
  );
}

console.log(`${((megabytes * 1e6) / (SPANS * REQUESTS)).toFixed(0)} bytes per span`);
measure('secrets', DEFAULT_REDACTION);
measure('every built-in rule', everything);
