// A trace whose spans say more than one answer can hold.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { startInstance, type Instance } from '../test/instance.ts';

const SPANS = 3;
const PROMPT = 'word '.repeat(9_000_000);

let instance: Instance;
before(async () => {
  instance = await startInstance();
});
after(() => instance.stop());

async function send(traceId: string, spanId: string): Promise<void> {
  const startNs = String(BigInt(Date.now()) * 1_000_000n);
  const attributes = [{ key: 'gen_ai.prompt', value: { stringValue: PROMPT } }];
  const span = { traceId, spanId, name: 'chat', startTimeUnixNano: startNs, endTimeUnixNano: startNs, attributes };
  const body = gzipSync(JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] }), { level: 1 });
  const answer = await fetch(`${instance.otlpUrl}/v1/traces`, {
    method: 'POST',
    body,
    headers: { ...credentials(), 'content-type': 'application/json', 'content-encoding': 'gzip' },
  });
  assert.equal(answer.status, 200, await answer.text());
}

const credentials = (): { authorization: string } => ({ authorization: `Bearer ${instance.firstRun.apiKey}` });

test('a trace of 135 MB of prompts is answered in part, says so, and each of its spans can be read', async () => {
  const traceId = randomBytes(16).toString('hex');
  const spanIds = Array.from({ length: SPANS }, () => randomBytes(8).toString('hex'));
  for (const spanId of spanIds) await send(traceId, spanId);
  const answer = await fetch(`${instance.url}/api/traces/${traceId}`, { headers: credentials() });
  assert.equal(answer.status, 200);
  const trace = (await answer.json()) as { spans: Array<{ messages: unknown }>; content_truncated: boolean };
  assert.equal(trace.content_truncated, true);
  assert.equal(trace.spans.length, SPANS);
  const told = trace.spans.filter(({ messages }) => messages !== null).length;
  assert.ok(told >= 1 && told < SPANS, `${told} of ${SPANS}`);
  for (const spanId of spanIds) {
    const one = await fetch(`${instance.url}/api/traces/${traceId}/spans/${spanId}`, { headers: credentials() });
    const { attributes } = (await one.json()) as { attributes: Record<string, string> };
    assert.equal(attributes['gen_ai.prompt']?.length, PROMPT.length);
  }
});
