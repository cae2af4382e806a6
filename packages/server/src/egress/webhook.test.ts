// What a receiver sees: a body that was signed as Standard Webhooks says, and nothing where the secret is none.
import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createEgress } from './egress.ts';
import { createWebhook, readWebhookSecret } from './webhook.ts';

let receiver: Server;
let folder: string;
let place: string;
let answer = 204;
const received: Array<{ headers: IncomingHttpHeaders; body: string }> = [];
const secret = randomBytes(32);

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lumatrace-webhook-'));
  receiver = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      received.push({ headers: request.headers, body });
      response.writeHead(answer, { location: '/elsewhere' }).end();
    });
  });
  await new Promise<void>((done) => receiver.listen(0, '127.0.0.1', done));
  place = `127.0.0.1:${(receiver.address() as { port: number }).port}`;
});
after(async () => {
  receiver?.close();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

const webhook = (allow: readonly string[]) =>
  createWebhook({ url: `http://${place}/in?token=path`, secret, egress: createEgress({ allow }) });

test('the body is signed with id and time, and says type, time and facts', async () => {
  await webhook([place]).send('msg_1', 'security.alert', { kind: 'audit.gap' });
  const { headers, body } = received.at(-1) as { headers: Record<string, string>; body: string };
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
  assert.equal(headers['webhook-signature'], `v1,${createHmac('sha256', secret).update(signed).digest('base64')}`);
  assert.equal(headers['webhook-id'], 'msg_1');
  assert.ok(Math.abs(Number(headers['webhook-timestamp']) - Date.now() / 1_000) < 5);
  const said = JSON.parse(body) as { type: string; timestamp: string; data: object };
  assert.deepEqual([said.type, said.data], ['security.alert', { kind: 'audit.gap' }]);
  assert.equal(webhook([]).place, place);
});

test('the worked example of the specification is signed as it says', () => {
  // standard-webhooks, libraries/javascript tests: msg_p5jXN8AQM9LWM0D4loKWxJek
  const key = Buffer.from('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'base64');
  const text = 'msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}';
  const expected = 'g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=';
  assert.equal(createHmac('sha256', key).update(text).digest('base64'), expected);
});

test('an answer other than 2xx is a failure, a redirect too, and a private place must be allowed', async () => {
  for (const status of [302, 400, 500]) {
    answer = status;
    await assert.rejects(webhook([place]).send('a', 'b', {}), (error: Error) => !error.message.includes('token'));
  }
  answer = 204;
  const before = received.length;
  await assert.rejects(webhook([]).send('a', 'b', {}), { code: 'EGRESS_FORBIDDEN' });
  assert.equal(received.length, before);
});

test('a secret is read from its file, and what is none is refused without being said', async () => {
  const file = join(folder, 'secret');
  await writeFile(file, `whsec_${secret.toString('base64')}\n`);
  assert.deepEqual(await readWebhookSecret(file), secret);
  for (const text of ['hunter2', `whsec_${'A'.repeat(16)}`, secret.toString('base64'), 'whsec_?'.repeat(20), '']) {
    await writeFile(file, text);
    await assert.rejects(
      readWebhookSecret(file),
      (error: Error & { code?: string }) =>
        error.code === 'VALIDATION_FAILED' && (text === '' || !error.message.includes(text)),
    );
  }
  await assert.rejects(readWebhookSecret(join(folder, 'none')), /ENOENT/);
});
