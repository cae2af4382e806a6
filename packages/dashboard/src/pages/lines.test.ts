// The lines of the connect page do what they say: the shell reads them, and our own reader takes what they send.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { decodeTracesJson, priceOfSpan, isPriced, usdOf } from '@lumatrace/telemetry';
import { linesFor, WAYS } from './lines.ts';

const ENDPOINT = 'http://localhost:4318';
const KEY = 'lumina_live_example';

function blockOf(name: string, at: number): string {
  const way = WAYS.find((each) => each.name === name);
  assert.ok(way);
  return linesFor(way, `${ENDPOINT}/`, KEY)[at]?.text ?? '';
}

test('every way names this endpoint and this key', () => {
  for (const { name } of WAYS) {
    const text = blockOf(name, 0);
    assert.ok(text.includes(ENDPOINT) && text.includes(KEY), name);
  }
});

test('the variables are read by a shell, with the blank of the header encoded as OpenTelemetry asks', () => {
  const out = execFileSync('sh', ['-c', `${blockOf('OpenTelemetry', 0)}\nenv`], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] },
  });
  assert.match(out, /^OTEL_EXPORTER_OTLP_ENDPOINT=http:\/\/localhost:4318$/m);
  assert.match(out, /^OTEL_EXPORTER_OTLP_HEADERS=Authorization=Bearer%20lumina_live_example$/m);
});

test('the curl line sends one span whose cost is exactly $0.0075', () => {
  // stands for curl and openssl, so that the shell's own reading of the line is what is tested
  const stand = `curl() { printf '%s\\0' "$@"; }\nopenssl() { printf '%0*d\\n' $(($3 * 2)) 7; }\n`;
  const argv = execFileSync('sh', ['-c', stand + blockOf('curl', 0)], { encoding: 'utf8' }).split('\0');
  assert.ok(argv.includes(`${ENDPOINT}/v1/traces`) && argv.includes(`Authorization: Bearer ${KEY}`));
  const body = argv[argv.indexOf('-d') + 1] ?? '';
  const { spans, rejected } = decodeTracesJson(body);
  assert.equal(rejected.count, 0);
  const [span] = spans;
  assert.ok(span);
  assert.deepEqual(span.messages.input, [{ role: 'user', parts: [{ type: 'text', content: 'Hello' }] }]);
  const price = priceOfSpan(span);
  assert.ok(price !== null && isPriced(price));
  assert.equal(usdOf(price.costPico), '0.0075');
});

test('the Node lines are JavaScript and the Python lines parse', () => {
  execFileSync(process.execPath, ['--input-type=module', '--check'], { input: blockOf('Node', 1) });
  assert.match(blockOf('Python', 1), /^provider\.shutdown\(\)$/m);
});
