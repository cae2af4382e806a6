// The tail of the normal distribution against published values.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { log10UpperTail } from './normal.ts';

test('the tail agrees with published values from the middle to beyond the range of doubles', () => {
  // R 4.3: pnorm(z, lower.tail = FALSE, log.p = TRUE) / log(10)
  const published: [number, number][] = [
    [0, -0.30103],
    [1, -0.799546],
    [2, -1.643016],
    [3, -2.869699],
    [5, -6.54265],
    [5.99781, -9.0],
    [10, -23.118053],
    [40, -349.43701],
  ];
  for (const [z, log10p] of published)
    assert.ok(Math.abs(log10UpperTail(z) - log10p) < 1e-4, `${z}: ${log10UpperTail(z)}`);
  assert.ok(Math.abs(log10UpperTail(-1) - Math.log10(0.841345)) < 1e-5);
});
