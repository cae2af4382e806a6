import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { complexSquare, fft2 } from './fft.ts';
import { keyedStream, type PayloadKey, type SyncKey } from './keys.ts';
import {
  MAX_RADIUS,
  MIN_RADIUS,
  payloadPattern,
  PERIOD,
  renderPattern,
  SYNC_LINES,
  SYNC_SHARE,
  syncPattern,
} from './pattern.ts';
import { CODE_LENGTH, encodeId } from './polar.ts';

const secret = (name: string): Uint8Array => createHash('sha256').update(name).digest();
const syncKey = (name: string, version = 1): SyncKey => ({ version, secret: secret(name) });
const payloadKey = (name: string, version = 1): PayloadKey => ({ tenantId: 'tenant', version, secret: secret(name) });

const binAt = (u: number, v: number): number => v * PERIOD + (u & (PERIOD - 1));

describe('keyed streams', () => {
  it('are the same on every machine and differ by secret and purpose', () => {
    const drawn = (name: string, purpose: string): string => keyedStream(secret(name), purpose).signs(64).join('');
    assert.equal(drawn('a', 'x'), drawn('a', 'x'));
    assert.notEqual(drawn('a', 'x'), drawn('a', 'y'));
    assert.notEqual(drawn('a', 'x'), drawn('b', 'x'));
    const known = createHash('sha256')
      .update(keyedStream(secret('known'), 'answer').signs(100_000))
      .digest('hex');
    assert.equal(known, 'c7b6efdc1141f5829956eccb7e48878c7cf3f716e2539c66c82e00a05963c2fc');
  });

  it('draw fair signs and even integers', () => {
    const stream = keyedStream(secret('fair'), 'test');
    const sum = stream.signs(1_000_000).reduce((total, sign) => total + sign, 0);
    assert.ok(Math.abs(sum) < 5_000, `sum ${sum}`);
    const counts = Array.from({ length: 7 }, () => 0);
    for (let i = 0; i < 70_000; i++) counts[stream.integer(7)]!++;
    // chi-squared with 6 degrees of freedom: above 33 in one of 100,000
    const chi2 = counts.reduce((total, count) => total + (count - 10_000) ** 2 / 10_000, 0);
    assert.ok(chi2 < 33, `chi² ${chi2}`);
  });

  it('refuse a secret that is not 32 bytes', () => {
    assert.throws(() => keyedStream(new Uint8Array(16), 'x'), TypeError);
  });
});

describe('the lines of an installation', () => {
  const patterns = Array.from({ length: 50 }, (_, i) => syncPattern(syncKey(`lines ${i}`)));

  it('are 40, apart from each other and from each other mirrored, inside their ring', () => {
    for (const { u, v } of patterns) {
      assert.equal(u.length, SYNC_LINES);
      for (let i = 0; i < SYNC_LINES; i++) {
        const radius = Math.hypot(u[i]!, v[i]!);
        assert.ok(radius >= 32 && radius <= 116);
        for (let j = 0; j < i; j++) {
          assert.ok(Math.hypot(u[i]! - u[j]!, v[i]! - v[j]!) >= 13);
          assert.ok(Math.hypot(u[i]! + u[j]!, v[i]! + v[j]!) >= 13);
        }
      }
    }
  });

  it('leave nothing that repeats within a quarter of the period', () => {
    for (const { u, v } of patterns) assert.ok(u.every((value, i) => value % 4 !== 0 || v[i]! % 4 !== 0));
  });

  it('differ by secret and by version', () => {
    assert.notDeepEqual(syncPattern(syncKey('one')).u, syncPattern(syncKey('other')).u);
    assert.notDeepEqual(syncPattern(syncKey('one', 1)).u, syncPattern(syncKey('one', 2)).u);
    assert.deepEqual(syncPattern(syncKey('one')), syncPattern(syncKey('one')));
  });
});

describe('the payload of a tenant', () => {
  const sync = syncKey('installation');
  const pattern = payloadPattern(payloadKey('tenant'), sync);

  it('fills the ring of one half plane, keeps clear of the lines, and uses no bin twice', () => {
    const lines = syncPattern(sync);
    const seen = new Set<string>();
    for (let i = 0; i < pattern.u.length; i++) {
      const [u, v] = [pattern.u[i]!, pattern.v[i]!];
      const radius = Math.hypot(u, v);
      assert.ok(radius >= MIN_RADIUS && radius <= MAX_RADIUS);
      assert.ok(v > 0 || u > 0);
      seen.add(`${u} ${v}`);
      for (let line = 0; line < SYNC_LINES; line++) {
        const [lu, lv] = [lines.u[line]!, lines.v[line]!];
        assert.ok(Math.max(Math.abs(u - lu), Math.abs(v - lv)) > 2);
      }
    }
    assert.equal(seen.size, pattern.u.length);
    assert.ok(pattern.u.length > 26_000 && pattern.u.length < 29_000, String(pattern.u.length));
  });

  it('gives every symbol the same number of dims and the same power at every radius', () => {
    const count = new Float64Array(CODE_LENGTH);
    const power = new Float64Array(CODE_LENGTH);
    for (let i = 0; i < pattern.symbol.length; i++) {
      count[pattern.symbol[i]!]!++;
      power[pattern.symbol[i]!]! += pattern.amplitude[i >> 1]! ** 2;
    }
    assert.ok(Math.max(...count) - Math.min(...count) <= 1);
    assert.ok(Math.max(...power) / Math.min(...power) < 1.03);
  });

  it('has fair signs that do not depend on the symbol', () => {
    const sums = new Float64Array(CODE_LENGTH);
    for (let i = 0; i < pattern.symbol.length; i++) sums[pattern.symbol[i]!]! += pattern.sign[i]!;
    const perSymbol = pattern.symbol.length / CODE_LENGTH;
    const chi2 = sums.reduce((total, sum) => total + (sum * sum) / perSymbol, 0);
    // chi-squared with 512 degrees of freedom: mean 512, deviation 32
    assert.ok(Math.abs(chi2 - 512) < 5 * 32, `chi² ${chi2}`);
  });

  it('differs by tenant secret, by tenant, and by version', () => {
    const others = [
      payloadKey('another'),
      payloadKey('tenant', 2),
      { ...payloadKey('tenant'), tenantId: 'somebody else' },
    ].map((key) => payloadPattern(key, sync));
    for (const other of others) {
      const agreeing = other.sign.reduce((sum, sign, i) => sum + sign * pattern.sign[i]!, 0);
      assert.ok(Math.abs(agreeing) < 5 * Math.sqrt(other.sign.length));
      const same = other.symbol.reduce((sum, symbol, i) => sum + (symbol === pattern.symbol[i] ? 1 : 0), 0);
      assert.ok(same < 250, `${same} of ${other.symbol.length} symbols agree; 107 by chance`);
    }
  });

  it('stays what it was: pictures carry it for years', () => {
    const hash = createHash('sha256').update(new Uint8Array(pattern.symbol.buffer)).update(pattern.sign).digest('hex');
    assert.equal(hash, '05e7c45113551d59932e9b81480b1a6fe0dc314d75f39cca9d78de026a8c7ca1');
  });
});

describe('a rendered pattern', () => {
  const sync = syncKey('installation');
  const lines = syncPattern(sync);
  const payload = payloadPattern(payloadKey('tenant'), sync);
  const codeword = encodeId(0x0123456789abcdefn);
  const values = renderPattern(lines, payload, codeword);

  it('has no mean and RMS 1', () => {
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const square = values.reduce((sum, value) => sum + value * value, 0) / values.length;
    assert.ok(Math.abs(mean) < 1e-4);
    assert.ok(Math.abs(square - 1) < 1e-3, String(square));
  });

  it('holds every symbol on its dims, and the stated share of its power in the lines', () => {
    const square = complexSquare(PERIOD);
    square.re.set(values);
    fft2(square);
    let payloadPower = 0;
    for (let bin = 0; bin < payload.u.length; bin++) {
      const i = binAt(payload.u[bin]!, payload.v[bin]!);
      const [re, im] = [square.re[i]!, square.im[i]!];
      assert.equal(Math.sign(re), codeword[payload.symbol[2 * bin]!]! * payload.sign[2 * bin]!);
      assert.equal(Math.sign(im), codeword[payload.symbol[2 * bin + 1]!]! * payload.sign[2 * bin + 1]!);
      payloadPower += re * re + im * im;
    }
    let linePower = 0;
    for (let i = 0; i < SYNC_LINES; i++) {
      const bin = binAt(lines.u[i]!, lines.v[i]!);
      const angle = Math.atan2(square.im[bin]!, square.re[bin]!);
      assert.ok(Math.cos(angle - lines.phase[i]!) > 0.9999);
      linePower += square.re[bin]! ** 2 + square.im[bin]! ** 2;
    }
    assert.ok(Math.abs(linePower / (linePower + payloadPower) - SYNC_SHARE) < 0.001);
  });

  it('scales one symbol when told to, and leaves the others in proportion', () => {
    const gain = new Float32Array(CODE_LENGTH).fill(1);
    gain[7] = 3;
    const square = complexSquare(PERIOD);
    square.re.set(renderPattern(null, payload, codeword, gain));
    fft2(square);
    const mean = { strong: 0, others: 0 };
    for (let dim = 0; dim < payload.symbol.length; dim++) {
      const bin = binAt(payload.u[dim >> 1]!, payload.v[dim >> 1]!);
      const part = Math.abs((dim & 1 ? square.im : square.re)[bin]!) / payload.amplitude[dim >> 1]!;
      if (payload.symbol[dim] === 7) mean.strong = part;
      else mean.others = part;
    }
    assert.ok(Math.abs(mean.strong / mean.others - 3) < 0.01);
  });
});
