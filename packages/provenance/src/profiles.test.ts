// Profiles of generated pictures: what must be given, and what then stands in the manifest.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { DIGITAL_SOURCE_TYPES, PHOTO_LABEL, PROVIDER_KEY } from './c2pa/assertions.ts';
import { makeChain, type TestChain } from './c2pa/chain.fixture.ts';
import { photographs } from './c2pa/images.fixture.ts';
import { activeManifest, cborOf, onlyContent } from './c2pa/jumbf.ts';
import { CborTag, type CborValue } from './c2pa/cbor.ts';
import { generatorSaidBy, generatorSaidIn } from './c2pa/disclosure.ts';
import { PHOTO_ID, signRequest } from './c2pa/requests.fixture.ts';
import { signImage, type SignRequest } from './c2pa/sign.ts';
import { disclosureOf, PROFILE_NAMES, PROFILES, type GeneratorFacts } from './profiles.ts';
import { verifyC2pa } from './c2pa/verify.ts';

const NOW = new Date('2026-11-23T20:00:00.000Z');
const MADE = new Date('2026-11-23T19:59:58.000Z');
const FACTS = { aiProvider: 'Example AI', aiSystem: 'example-image', aiSystemVersion: '2.1', aiCreatedAt: MADE };

let chain: TestChain;
let jpeg: Uint8Array;

before(async () => {
  chain = await makeChain();
  jpeg = (await photographs()).jpeg;
});

for (const profile of PROFILE_NAMES) {
  for (const field of PROFILES[profile].requires) {
    test(`${profile} without ${field} is refused, and the refusal names it`, () => {
      const facts: GeneratorFacts = { ...FACTS, [field]: undefined };
      assert.throws(() => disclosureOf(profile, facts, NOW), { code: 'VALIDATION_FAILED', profile, field });
    });
  }
  test(`${profile} says trainedAlgorithmicMedia by itself, and refuses a type that denies a model`, () => {
    assert.equal(disclosureOf(profile, FACTS, NOW).digitalSourceType, 'trainedAlgorithmicMedia');
    const composite = { ...FACTS, digitalSourceType: 'compositeWithTrainedAlgorithmicMedia' };
    assert.equal(disclosureOf(profile, composite, NOW).digitalSourceType, composite.digitalSourceType);
    const camera = { ...FACTS, digitalSourceType: 'digitalCapture' };
    assert.throws(() => disclosureOf(profile, camera, NOW), { field: 'digitalSourceType' });
  });
}

test('a time in the future is refused, none means now', () => {
  const ahead = { ...FACTS, aiCreatedAt: new Date(NOW.getTime() + 600_000) };
  assert.throws(() => disclosureOf('ca-sb-942', ahead, NOW), { field: 'aiCreatedAt' });
  const { disclosure } = disclosureOf('ca-sb-942', { ...FACTS, aiCreatedAt: undefined }, NOW);
  assert.equal(disclosure.createdAt, NOW);
});

async function signed(more: Partial<SignRequest> = {}): Promise<{ bytes: Uint8Array; store: Uint8Array }> {
  const request = signRequest(chain, jpeg, 'jpeg');
  const { bytes, manifestStore } = await signImage({
    ...request,
    ...disclosureOf('ca-sb-942', FACTS, request.signedAt),
    ...more,
  });
  return { bytes, store: manifestStore };
}

/** An assertion of the active manifest as plain values. */
function assertionOf(store: Uint8Array, label: string): Record<string, unknown> {
  const box = activeManifest(store).assertions.find((assertion) => assertion.label === label);
  assert.ok(box, `no ${label}`);
  return plain(cborOf(store, onlyContent(box, 'cbor'))) as Record<string, unknown>;
}

function plain(value: CborValue): unknown {
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, entry]) => [key, plain(entry)]));
  if (value instanceof CborTag) return plain(value.value);
  return Array.isArray(value) ? (value as readonly CborValue[]).map(plain) : value;
}

test('the manifest says provider, system, version, time and id, and its validator trusts it', async () => {
  const { bytes, store } = await signed();
  const [first] = assertionOf(store, 'c2pa.actions.v2')['actions'] as Record<string, unknown>[];
  assert.deepEqual(
    [first?.['action'], first?.['digitalSourceType'], first?.['when']],
    ['c2pa.created', DIGITAL_SOURCE_TYPES.trainedAlgorithmicMedia, MADE.toISOString()],
  );
  assert.deepEqual(first?.['softwareAgent'], { name: 'example-image', version: '2.1', [PROVIDER_KEY]: 'Example AI' });
  assert.deepEqual(assertionOf(store, PHOTO_LABEL), {
    photoId: PHOTO_ID,
    disclosure: {
      profile: 'ca-sb-942',
      provider: 'Example AI',
      system: 'example-image',
      version: '2.1',
      createdAt: MADE.toISOString(),
    },
  });
  const { status, findings } = await verifyC2pa({ bytes, format: 'jpeg', trust: chain.trust });
  const failures = findings.filter(({ severity }) => severity === 'failure');
  assert.deepEqual([status, failures], ['VALID', []]);
});

test('a picture that came with credentials keeps them, and the model is not said to have opened it', async () => {
  const { bytes } = await signed();
  const { store } = await signed({ source: { bytes, format: 'jpeg' } });
  const [first] = assertionOf(store, 'c2pa.actions.v2')['actions'] as Record<string, unknown>[];
  assert.deepEqual([first?.['action'], first?.['softwareAgent']], ['c2pa.opened', undefined]);
  assert.equal(first?.['digitalSourceType'], DIGITAL_SOURCE_TYPES.trainedAlgorithmicMedia);
  const { system } = assertionOf(store, PHOTO_LABEL)['disclosure'] as { system: string };
  assert.equal(system, 'example-image');
});

test('what the manifest says of the model is read back, from the file and from the kept store', async () => {
  const { bytes, store } = await signed();
  const said = {
    profile: 'ca-sb-942',
    provider: 'Example AI',
    system: 'example-image',
    version: '2.1',
    createdAt: MADE.toISOString(),
  };
  assert.deepEqual(generatorSaidBy(store), said);
  assert.deepEqual(generatorSaidIn(bytes, 'jpeg'), said);
});

test('a manifest without a model, a file without a manifest and a broken one say nothing', async () => {
  const { bytes, manifestStore } = await signImage(signRequest(chain, jpeg, 'jpeg'));
  assert.equal(generatorSaidBy(manifestStore), null);
  assert.equal(generatorSaidIn(jpeg, 'jpeg'), null);
  assert.equal(generatorSaidBy(manifestStore.subarray(0, manifestStore.length >> 1)), null);
  assert.equal(generatorSaidIn(bytes.subarray(0, 1_000), 'jpeg'), null);
});
