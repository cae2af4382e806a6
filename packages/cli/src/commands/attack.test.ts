import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UsageError } from '../command.ts';
import { command } from './attack.ts';

test('only instances on loopback are attacked', async () => {
  for (const url of [
    'https://example.org',
    'http://example.org:3000',
    'http://localhost.example.org',
    'http://localhost@example.org',
    'http://192.168.1.1:3000',
    'https://localhost:3000',
    'ftp://localhost',
    'localhost:3000',
    '//localhost',
    '',
  ]) {
    await assert.rejects(command.run({ url, data: '/tmp' }, []), UsageError, url);
  }
});

test('wrong use is told before anything is started', async () => {
  await assert.rejects(command.run({ family: 'unheard-of' }, []), /Expected the name of a family/);
  await assert.rejects(command.run({ seed: '-1' }, []), /Expected --seed/);
  await assert.rejects(command.run({ requests: 'many' }, []), /Expected --requests/);
  await assert.rejects(command.run({}, ['now']), UsageError);
  await assert.rejects(command.run({ url: 'http://localhost:1' }, []), /--data/);
});
