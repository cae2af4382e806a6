// Each built-in rule against values that must be caught and values that must stay. Sources of the positive ones: the
// issuers' own documentation and examples (SWIFT registry, networks' test cards, SSA, INSEE, HMRC, UIDAI, RFC 4231, …).
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import { compileRedaction, DEFAULT_REDACTION, REDACTION_DETECTORS, type RedactionRules } from '../redact.ts';
import { crc32, iso7064Mod11x10, luhn, mod97, verhoeff } from './checksums.ts';
import { hmacSha256Hex } from './hmac.ts';
import { hasTokenChecksum } from './secrets.ts';

const RANDOM = 'a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0';

/** Each holds twelve digits or more that an issuer gives out and that pass Luhn's check. */
const HEX_WITH_CARD = [
  '41111111-1111-1111-9c1e-a1b2c3d4e5f6',
  'urn:uuid:3f2a1b4c-0a1b-4c2d-4111-111111111111',
  '3f2a1b4c-0a1b-4c2d-8e3f-501823456782',
  '41111111-1111-1111-1234-123456789012',
  'd41d8cd98f00b20b4111111111111111',
  '4111111111111111d41d8cd98f00b204',
  '4111111111111111aaaabbbbccccdddd4111111111111111',
  'c378282246310005',
  '00-0af7651916cd43dd8448eb211c80319c-4111111111111111-01',
  'chatcmpl-d41d8cd98f00b20a4111111111111111',
  'sha1:4222222222222f9e4d2c1b0a99887766554433aa',
];

/** id → [caught], [left alone by this rule] */
const VECTORS: Record<string, [caught: string[], left: string[]]> = {
  email: [
    [
      'ada@example.org',
      'first.last+tag@sub.example.co.uk',
      "o'hara@example.com",
      'müller@büro.example',
      'x@xn--bcher-kva.example',
    ],
    [
      '@example.org',
      'a@b',
      'user@localhost',
      'sprite@2x.png',
      'a..b@example.org',
      'decorator @app.route',
      'git@github.com:a/b.git',
    ],
  ],
  phone: [
    ['+49 30 901820', '+1 (212) 555-0187', '+442079460958', '+33 1 42 68 53 00', '0049 30 901820', '+91-98765-43210'],
    ['+12', '+1 123 456 7890', '+0 123 456 789', '1+1234567', 'a+49301234567'],
  ],
  'phone-national': [
    [
      '(212) 555-0187',
      '212-555-0187',
      '030 901820',
      '020 7946 0958',
      '01 42 68 53 00',
      '01.42.68.53.00',
      '(030) 901820',
    ],
    ['2026-11-23', '01/02/2026', '100 200 300', '0.123 456 789', '192.168.100.200', '10-20-30', '000 000 000'],
  ],
  iban: [
    [
      'DE89 3704 0044 0532 0130 00',
      'GB82WEST12345698765432',
      'FR1420041010050500013M02606',
      'NO93 8601 1117 947',
      'MT84MALT011000012345MTLCAST001S',
      'NL91 ABNA 0417 1643 00',
      'ES91-2100-0418-4502-0005-1332',
    ],
    ['DE89 3704 0044 0532 0130 01', 'GB82WEST1234569876543', 'XX89370400440532013000', 'DE12'],
  ],
  card: [
    [
      '4111 1111 1111 1111',
      '4111-1111-1111-1111',
      '5555555555554444',
      '378282246310005',
      '6011111111111117',
      '3530111333300000',
      '30569309025904',
      '2223003122003222',
      '4222222222222',
      '6759649826438453',
      'card-4111111111111111',
      'cc4111111111111111',
      'ref4111-1111-1111-1111',
      'order 3f2a1b4c-4111-4111-9111-11111111111a paid with 4111 1111 1111 1111',
      '3f2a1b4c-0000-4000-8000-000000000000 4111-1111-1111-1111 8b1d',
    ],
    [
      // digits of ids in hexadecimal that pass for a card: checked below
      ...HEX_WITH_CARD,
      '4111 1111 1111 1112',
      '1234567812345670',
      '0000000000000000',
      '1732345678901',
      '0.4111111111111111',
      '20260101120000',
      '1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16',
    ],
  ],
  'us-ssn': [
    ['536-22-8726', '536 22 8726', 'SSN: 536228726'],
    ['000-12-3456', '666-12-3456', '900-12-3456', '536-00-8726', '536-22-0000', '536228726', '078-05-1120'],
  ],
  'de-steuer-id': [
    ['86095742719', '86 095 742 719', '47036892816'],
    ['86095742710', '12345678901', '06095742719'],
  ],
  'fr-nir': [
    ['255081416802538', '2 55 08 14 168 025 38'],
    ['255081416802539', '955081416802538'],
  ],
  'es-dni': [
    ['12345678Z', '12345678-Z', 'X1234567L', 'Z8078221M'],
    ['12345678A', 'X1234567A', '1234567Z'],
  ],
  'it-codice-fiscale': [
    ['RSSMRA85T10A562S', 'MRTMTT91D08F205J'],
    ['RSSMRA85T10A562T', 'ABCDEF12G34H567I'],
  ],
  'nl-bsn': [
    ['BSN 111222333', 'burgerservicenummer: 123456782', '1112.22.333'],
    ['111222333', 'BSN 111222334'],
  ],
  'uk-nino': [
    ['AB123456C', 'AB 12 34 56 C'],
    ['BG123456A', 'AB123456E', 'QQ123456C', 'DA123456A'],
  ],
  'pl-pesel': [
    ['44051401359', '02070803628'],
    ['44051401358', '44991401359'],
  ],
  'br-cpf': [
    ['529.982.247-25', '52998224725', '111.444.777-35'],
    ['529.982.247-26', '111.111.111-11'],
  ],
  'in-aadhaar': [
    ['2341 2341 2346', 'Aadhaar 234123412346'],
    ['2341 2341 2347', '234123412346'],
  ],
  'ch-ahv': [['756.9217.0769.85', '7569217076985'], ['756.9217.0769.84']],
  'be-rrn': [['85.07.30-033.28'], ['85.07.30-033.29']],
  'ip-address': [
    ['203.0.113.7', '2001:db8::8a2e:370:7334', '2001:0db8:85a3:0000:0000:8a2e:0370:7334'],
    ['127.0.0.1', '256.1.1.1', '1.2.3', '12:30:45', 'std::vector'],
  ],
  'openai-key': [
    [`sk-${RANDOM}`, `sk-proj-${RANDOM}`, `sk-svcacct-${RANDOM}_-x`],
    ['sk-learn-is-a-python-package-name', 'sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxx', `risk-${RANDOM}`, 'sk-short1'],
  ],
  'anthropic-key': [[`sk-ant-api03-${RANDOM}-${RANDOM}AA`], ['sk-ant-api03-xxxxxxxxxxxxxxx']],
  'aws-key-id': [
    ['AKIAIOSFODNN7EXAMPLE', 'ASIAY34FZKBOKMUTVV7A'],
    ['AKIASHORT', 'XAKIAIOSFODNN7EXAMPLE', 'AKIAAAAAAAAAAAAAAAAA'],
  ],
  'aws-secret': [
    [
      'aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
      '"SecretAccessKey": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"',
    ],
    ['wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'],
  ],
  'github-token': [
    [
      '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',
      `github_pat_${RANDOM.slice(0, 22)}_${RANDOM}${RANDOM.slice(0, 19)}`,
      `ghs_${RANDOM.slice(0, 36)}`,
    ],
    ['ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', 'ghp_short'],
  ],
  'gitlab-token': [['glpat-a1B2c3D4e5F6g7H8i9J0', 'glrt-t1_a1B2c3D4e5F6g7H8i9J0'], ['glpat-xxxxxxxxxxxxxxxxxxxx']],
  'slack-token': [
    ['xoxb-1234567890-a1B2c3D4e5F6', `https://hooks.slack.com/services/T0AB12CD3/B0EF45GH6/${RANDOM.slice(0, 24)}`],
    ['xoxo-hugs'],
  ],
  'stripe-key': [
    ['sk_test_4eC39HqLyjWDarjtT1zdp7dc', `rk_live_${RANDOM}`, `whsec_${RANDOM}`],
    ['sk_live_xxxxxxxxxxxxxxxxxxxxxxxx'],
  ],
  'google-key': [['AIzaSyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q', `ya29.${RANDOM}`], ['AIzaShort']],
  'huggingface-token': [['hf_aBcDeFgHiJkLmNoPqRsTuVwXyZaBcDeFgH'], ['hf_model_name']],
  'npm-token': [['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'], ['npm_config_registry']],
  'lumatrace-key': [[`lumina_live_${RANDOM}123456789`], ['lumina_live_dashboard']],
  'service-token': [
    [
      `gsk_${RANDOM}a1B2c3D4e5F6`,
      `sk-or-v1-${'0123456789abcdef'.repeat(4)}`,
      'sk-lf-01234567-89ab-cdef-0123-456789abcdef',
    ],
    ['gsk_short'],
  ],
  jwt: [
    ['eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl', 'eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.'],
    ['eyJxxxxxxxxxxxx.abcdefgh.abc', 'eyJhbGciOiJIUzI1NiJ9'],
  ],
  'private-key': [
    [
      '-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\nabc=\n-----END RSA PRIVATE KEY-----',
      '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk',
    ],
    ['-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----'],
  ],
  'connection-password': [
    ['postgres://app:s3cret@db.internal/app', 'redis://:p%40ss@cache:6379'],
    ['postgres://app@db/app', 'https://example.org:8080/a@b', 'postgres://app:${PASSWORD}@db'],
  ],
  authorization: [
    [
      'Authorization: Bearer a1b2c3d4e5f6g7h8',
      'basic dXNlcjpwYXNzd29yZDE=',
      'Authorization: Basic dXNlcjpwYXNz',
      'set-cookie: session=abc123def456ghi',
    ],
    ['Bearer authentication', 'bearer of bad news', 'cookie: chocolate chips'],
  ],
  'assigned-secret': [
    [
      'api_key=9f8e7d6c5b4a',
      'password: hunter2!',
      "API-KEY='abc123def456'",
      'pwd: "Tr0ub4dor&3"',
      'DB_PASSWORD=Tr0ub4dor&3',
    ],
    [
      'password=process.env.DB',
      'api_key: <your key>',
      'token: string',
      'max_tokens=4096',
      'password: required',
      'total tokens: 123456',
    ],
  ],
};

function only(id: string): RedactionRules {
  const { rules } = DEFAULT_REDACTION;
  return { version: 'test', personalData: true, rules: rules.map((rule) => ({ ...rule, enabled: rule.id === id })) };
}

for (const [id, [caught, left]] of Object.entries(VECTORS)) {
  test(`${id} catches what it is for, inside a sentence too, and nothing that only looks like it`, () => {
    const redaction = compileRedaction(only(id));
    for (const text of caught) {
      for (const sentence of [text, `Here: ${text}, thanks.`, `(${text})`, `"${text}"`]) {
        const { hits, text: after } = redaction.redactText(sentence);
        assert.deepEqual(
          hits.map(({ ruleId }) => ruleId),
          [id],
          sentence,
        );
        assert.equal(redaction.redactText(after).text, after, 'redacting again changes nothing');
      }
    }
    for (const text of left) assert.equal(redaction.redactText(text).text, text);
  });
}

test('every built-in rule but the one by name has vectors', () => {
  const ids = REDACTION_DETECTORS.map(({ id }) => id).filter((id) => id !== 'named-secret');
  assert.deepEqual(Object.keys(VECTORS).sort(), ids.sort());
});

test('checksums agree with their published examples', () => {
  assert.ok(luhn('79927398713'));
  assert.equal(mod97('3214282912345698765432161182'), 1);
  assert.ok(verhoeff('2363') && !verhoeff('2364'));
  assert.ok(iso7064Mod11x10('86095742719'));
  assert.equal(crc32('123456789'), 0xcbf43926);
  assert.ok(hasTokenChecksum('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'));
});

test('the keyed hash is HMAC-SHA-256, as node computes it', () => {
  for (const length of [0, 3, 55, 56, 64, 65, 200]) {
    const key = new Uint8Array(length).fill(7);
    const message = new Uint8Array(length * 3).fill(length);
    assert.equal(hmacSha256Hex(key, message), createHmac('sha256', key).update(message).digest('hex'));
  }
});
