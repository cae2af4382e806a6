// What an outgoing request may reach, tried against real servers on loopback and a name server that changes its mind.
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { after, before, test } from 'node:test';
import { isPublicAddress } from './addresses.ts';
import { createEgress, type EgressError } from './egress.ts';

let server: Server;
let target: string;
let asked = 0;
before(async () => {
  server = createServer((request, response) => {
    asked++;
    if (request.url === '/away') response.writeHead(302, { location: 'http://169.254.169.254/' }).end();
    else if (request.url === '/long') response.end(Buffer.alloc(50_000));
    else if (request.url === '/slow') setTimeout(() => response.end('late'), 3_000).unref();
    else response.end('here');
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  target = `127.0.0.1:${(server.address() as { port: number }).port}`;
});
after(() => {
  server.closeAllConnections();
  server.close();
});

const code = (wanted: EgressError['code']) => (error: unknown) => (error as EgressError).code === wanted;

const FORBIDDEN = [
  'https://127.0.0.1/',
  'https://127.1/',
  'https://2130706433/',
  'https://0x7f000001/',
  'https://0177.0.0.1/',
  'https://0/',
  'https://[::1]/',
  'https://[::]/',
  'https://[::ffff:127.0.0.1]/',
  'https://[::ffff:7f00:1]/',
  'https://[64:ff9b::7f00:1]/',
  'https://[2002:7f00:1::]/',
  'https://[fe80::1]/',
  'https://[fd00:ec2::254]/',
  'https://[2001::1]/',
  'https://10.0.0.1/',
  'https://172.16.0.1/',
  'https://192.168.1.1/',
  'https://100.64.0.1/',
  'https://169.254.169.254/latest/meta-data/',
  'https://198.18.0.1/',
  'https://224.0.0.1/',
  'https://255.255.255.255/',
  'https://localhost/',
  'https://user:password@example.com/',
  'ftp://example.com/',
  'file:///etc/passwd',
  'gopher://example.com/',
  'nonsense',
];
for (const url of FORBIDDEN)
  test(`${url} is forbidden`, async () => {
    await assert.rejects(createEgress({ allow: [] })({ url, isPlainAllowed: true }), code('EGRESS_FORBIDDEN'));
  });

test('addresses of the public internet are not', () => {
  for (const address of ['1.1.1.1', '93.184.216.34', '172.32.0.1', '192.0.1.1', '2606:4700::1111', '2a00:1450::1'])
    assert.equal(isPublicAddress(address), true, address);
  for (const address of ['', 'example.com', '1.2.3', '::ffff:1.1.1.1', 'ff02::1'])
    assert.equal(isPublicAddress(address), false, address);
});

test('plain HTTP needs a reason', async () => {
  await assert.rejects(createEgress({ allow: [] })({ url: 'http://93.184.216.34/' }), code('EGRESS_FORBIDDEN'));
});

test('an allowed target is reached, its neighbour on another port is not', async () => {
  const egress = createEgress({ allow: [target] });
  const { status, body } = await egress({ url: `http://${target}/` });
  assert.deepEqual([status, body.toString()], [200, 'here']);
  await assert.rejects(egress({ url: 'http://127.0.0.1:1/', isPlainAllowed: true }), code('EGRESS_FORBIDDEN'));
});

test('a name that resolves to loopback is refused, also as one of several, and nothing is asked', async () => {
  const before = asked;
  const port = target.split(':')[1];
  const answers = [
    [{ address: '127.0.0.1', family: 4 }],
    [
      { address: '93.184.216.34', family: 4 },
      { address: '127.0.0.1', family: 4 },
    ],
    [{ address: '::ffff:127.0.0.1', family: 6 }],
  ];
  for (const addresses of answers) {
    const egress = createEgress({ allow: [], resolve: async () => addresses });
    const url = `http://rebound.example:${port}/`;
    await assert.rejects(egress({ url, isPlainAllowed: true }), code('EGRESS_FORBIDDEN'));
  }
  assert.equal(asked, before);
});

test('a name server that answers differently the second time is asked once per connection', async () => {
  let times = 0;
  const resolve = async (): Promise<{ address: string; family: number }[]> => {
    times++;
    return [{ address: times === 1 ? '192.0.2.1' : '127.0.0.1', family: 4 }];
  };
  const egress = createEgress({ allow: [], resolve });
  await assert.rejects(egress({ url: 'https://rebound.example/' }), code('EGRESS_FORBIDDEN'));
  assert.equal(times, 1);
});

test('redirects are not followed, long and late answers not taken, and what came is not in the error', async () => {
  const egress = createEgress({ allow: [target] });
  const url = (path: string): string => `http://${target}${path}`;
  await assert.rejects(egress({ url: url('/away') }), code('EGRESS_REDIRECTED'));
  await assert.rejects(egress({ url: url('/long'), maxBytes: 10_000 }), code('EGRESS_TOO_LARGE'));
  await assert.rejects(egress({ url: url('/slow'), timeoutMs: 200 }), code('EGRESS_TIMEOUT'));
  const refused = createEgress({ allow: ['127.0.0.1:1'] })({ url: 'http://127.0.0.1:1/secret' });
  await assert.rejects(refused, (error: Error) => !error.message.includes('secret'));
});
