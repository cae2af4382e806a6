// Starting and stopping in order: what started is stopped, in reverse, whatever fails or whoever asks when.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Lifecycle, type Part } from './lifecycle.ts';

function recorder(): { log: string[]; part(name: string, faults?: { start?: boolean; stop?: boolean }): Part } {
  const log: string[] = [];
  return {
    log,
    part: (name, faults = {}) => ({
      name,
      start() {
        log.push(`start ${name}`);
        return faults.start === true ? Promise.reject(new Error(`${name} cannot`)) : Promise.resolve();
      },
      stop() {
        log.push(`stop ${name}`);
        return faults.stop === true ? Promise.reject(new Error('stuck')) : Promise.resolve();
      },
    }),
  };
}

test('parts start in order and stop in reverse', async () => {
  const { log, part } = recorder();
  const lifecycle = new Lifecycle([part('a'), part('b')], () => assert.fail());
  const code = await lifecycle.run(() => {
    log.push('ready');
    lifecycle.end(0);
  });
  assert.equal(code, 0);
  assert.deepEqual(log, ['start a', 'start b', 'ready', 'stop b', 'stop a']);
});

test('a part that does not start ends the run with 1; it is not stopped, those before it are', async () => {
  const { log, part } = recorder();
  const complaints: string[] = [];
  const parts = [part('a'), part('b', { start: true }), part('c')];
  const code = await new Lifecycle(parts, (line) => complaints.push(line)).run(() => assert.fail());
  assert.equal(code, 1);
  assert.deepEqual(log, ['start a', 'start b', 'stop a']);
  assert.deepEqual(complaints, ['b cannot']);
});

test('a part that does not stop is told of and does not keep the others from stopping', async () => {
  const { log, part } = recorder();
  const complaints: string[] = [];
  const lifecycle = new Lifecycle([part('a'), part('b', { stop: true })], (line) => complaints.push(line));
  assert.equal(await lifecycle.run(() => lifecycle.end(0)), 1);
  assert.deepEqual(log.slice(-2), ['stop b', 'stop a']);
  assert.deepEqual(complaints, ['b did not stop in order: stuck']);
});

test('a signal while parts start stops those that did, and is no failure', async () => {
  const { log, part } = recorder();
  const slow: Part = {
    name: 'slow',
    start: async () => {
      process.emit('SIGTERM');
      await Promise.resolve();
      log.push('start slow');
    },
    stop: () => Promise.resolve(void log.push('stop slow')),
  };
  const code = await new Lifecycle([part('a'), slow, part('c')], () => assert.fail()).run(() => assert.fail());
  assert.equal(code, 0);
  assert.deepEqual(log, ['start a', 'start slow', 'stop slow', 'stop a']);
});

test('the first reason to end decides the exit code, and signals are left alone afterwards', async () => {
  const before = process.listenerCount('SIGTERM');
  const lifecycle = new Lifecycle([], () => {});
  const code = await lifecycle.run(() => {
    lifecycle.end(1);
    lifecycle.end(0);
  });
  assert.equal(code, 1);
  assert.equal(process.listenerCount('SIGTERM'), before);
});
