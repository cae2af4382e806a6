// Detectors of secrets: keys of APIs by the prefix that their issuer documents, tokens, private keys, passwords in
// addresses and assignments. A shape with a checksum is certain; a shape alone must also look random.
import { base62, crc32 } from './checksums.ts';
import type { Detector } from './detector.ts';

/** Placeholders repeat themselves: `xxxx`, `0000`; random text of 20 characters has at least this many different ones. */
const MIN_DISTINCT = 8;

function looksRandom(text: string): boolean {
  return new Set(text).size >= MIN_DISTINCT && !/(.)\1{7}/.test(text);
}

/** GitHub's and npm's tokens end in the CRC-32 of the part before, in base 62 (GitHub, "Behind GitHub's new authentication token formats"). */
export function hasTokenChecksum(token: string): boolean {
  const body = token.slice(token.lastIndexOf('_') + 1, -6);
  return base62(crc32(body), 6) === token.slice(-6);
}

const REST: readonly [prefix: string, rest: string][] = [
  ['sk-lf-', '[0-9a-f-]{36}'],
  ['sk-or-v1-', '[0-9a-f]{64}'],
  ['gsk_', '[A-Za-z0-9]{40,60}'],
  ['xai-', '[A-Za-z0-9]{60,100}'],
  ['pplx-', '[A-Za-z0-9]{40,60}'],
  ['r8_', '[A-Za-z0-9]{37,40}'],
  ['nvapi-', '[A-Za-z0-9_-]{60,80}'],
  ['tgp_v1_', '[A-Za-z0-9_-]{40,60}'],
  ['lsv2_[ps][tk]_', '[0-9a-f]{32}_[0-9a-f]{10}'],
  ['pcsk_', '[A-Za-z0-9_]{50,80}'],
  ['SG\\.', '[A-Za-z0-9_-]{16,32}\\.[A-Za-z0-9_-]{32,64}'],
  ['do[opr]_v1_', '[0-9a-f]{64}'],
  ['pypi-AgE', '[A-Za-z0-9_-]{50,250}'],
  ['dapi', '[0-9a-f]{32}(?:-\\d)?'],
  ['hv[sb]\\.', '[A-Za-z0-9_-]{24,200}'],
  ['dckr_(?:pat|oat)_', '[A-Za-z0-9_-]{24,40}'],
  ['shp(?:at|ss|ca|pa)_', '[0-9a-fA-F]{32}'],
  ['AGE-SECRET-KEY-1', '[0-9A-Z]{58}'],
  ['rubygems_', '[0-9a-f]{48}'],
  ['lin_api_', '[A-Za-z0-9]{40}'],
  ['ntn_', '[A-Za-z0-9]{40,60}'],
  ['glsa_', '[A-Za-z0-9]{32}_[0-9a-f]{8}'],
  ['dp\\.(?:pt|st|sa)\\.', '[A-Za-z0-9._-]{40,60}'],
];

const serviceTokens = new RegExp(
  `(?<![A-Za-z0-9_-])(?:${REST.map(([prefix, rest]) => prefix + rest).join('|')})(?![A-Za-z0-9])`,
  'g',
);
const serviceTrigger = new RegExp(REST.map(([prefix]) => prefix).join('|'));

/** Names whose value is a secret, without case, `_` and `-`, at the end of a key. */
const SECRET_ENDINGS =
  /(?:apikey|password|passwd|passphrase|secret|secretkey|accesskey|accesskeyid|privatekey|signingkey|encryptionkey|authtoken|accesstoken|refreshtoken|idtoken|sessiontoken|bearertoken|apitoken|githubtoken|gitlabtoken|secrettoken|securitytoken|secretaccesskey|passwords|dbpass|credentials?)$/;
const SECRET_NAMES = new Set(['token', 'authorization', 'proxyauthorization', 'cookie', 'setcookie', 'pwd', 'jwt']);
const NO_SECRET = /^(?:true|false|null|none|undefined|nil|yes|no|string|required|optional|\*+|x+)$/i;
/** What code calls the place where the secret lies. */
const PLACE_IN_CODE = /^(?:process\.env|os\.|env[.:(]|getenv|import\.meta|config\.|settings\.|self\.|secrets?[.:])/i;
/** A variable of a shell or template, whole: a password may begin with the same signs. */
const VARIABLE = [
  /\$\{[^{}]+\}/,
  /\$\([^()]+\)/,
  // $NAME, $env:NAME, $this->name (of which a value without quotes ends before the >), $config.name
  /\$env:\w+/,
  /\$\w+(?:(?:->|::)\w+|\.[A-Za-z_]+)*(?:-(?=$))?/,
  /<[^<>]+>/,
  /\$?\{\{[^{}]+\}\}/,
  // a place of str.format, String.Format
  /\{[\w.:!-]*\}/,
  /%[A-Za-z_][\w.:()-]*%/,
  /%\([\w.]+\)[sd]/,
  // a verb of printf
  /%[sdvwxq]/,
];
const REFERENCE = new RegExp(`^(?:${VARIABLE.map(({ source }) => source).join('|')})+$`);
/** The beginning of one that has a space in it, or what else ends a value without quotes. */
const OPEN_REFERENCE = /^(?:\$?\{|<|%)[^{}<>%]*$/;
const REST_OF_REFERENCE = /^[^{}<>%"'\r\n]{0,100}[}>%]/;

function isReference(value: string): boolean {
  return PLACE_IN_CODE.test(value) || REFERENCE.test(value);
}

/** Whether the last part of an attribute's key, or a member of JSON, names a secret. */
export function namesSecret(key: string): boolean {
  const name = key
    .slice(key.lastIndexOf('.') + 1)
    .toLowerCase()
    .replaceAll(/[-_ ]/g, '');
  return SECRET_NAMES.has(name) || SECRET_ENDINGS.test(name);
}

/** Whether a number under the name is a secret: passwords are, `token` may be an index. */
export function namesPassword(key: string): boolean {
  return /(?:password|passwd|passphrase|pwd)$/i.test(key);
}

/** Names that mean other things as often: a token of a text or a coin, the working directory. */
const WEAK_NAMES = /(?:^|[.])(?:token|pwd)$/i;
/** A path, as the working directory is one. */
const PLACE = /^(?:~|\.{0,2}\/|[A-Za-z]:\\)/;
/** What code says where a secret would stand: `options.apiKey`, `Token::new`, `user.password2`. */
const MEMBER = /^[A-Za-z_$][\w$]*(?:(?:\.|::|->|\?\.)[A-Za-z_$][\w$]*)+$/;

/** Whether the value under such a name is one, and no flag, placeholder or reference. */
export function isSecretValue(value: string, name = ''): boolean {
  if (value.length < 4 || NO_SECRET.test(value) || isReference(value)) return false;
  return !WEAK_NAMES.test(name) || (value.length >= 8 && /\d/.test(value) && !/\s/.test(value) && !PLACE.test(value));
}

function isAssigned(value: string, { 0: found, index, input }: RegExpExecArray): boolean {
  if (!isSecretValue(value)) return false;
  const rest = input.slice(index + found.length, index + found.length + 101);
  if (OPEN_REFERENCE.test(value) && REST_OF_REFERENCE.test(rest)) return false;
  const before = found.slice(0, -value.length);
  // a call or a member of code (`.env` files have no space there), or the working directory of a shell
  if (!/["']$/.test(before) && input[index + found.length] === '(') return false;
  if (/[ \t]$/.test(before) && MEMBER.test(value)) return false;
  if (/^pwd/i.test(found) && PLACE.test(value)) return false;
  return /\d/.test(value) || /[^\p{L}\p{N}._-]/u.test(value) || (/[a-z][A-Z]/.test(value) && value.length >= 10);
}

/** RFC 7617: the Base64 of a name, a colon and a password. */
function isBasic(value: string): boolean {
  try {
    return atob(value).includes(':');
  } catch {
    return false;
  }
}

function isJwt(token: string): boolean {
  const header = token.slice(0, token.indexOf('.'));
  try {
    const json: unknown = JSON.parse(atob(header.replaceAll('-', '+').replaceAll('_', '/')));
    return typeof json === 'object' && json !== null && ('alg' in json || 'typ' in json || 'enc' in json);
  } catch {
    return false;
  }
}

const PEM_BEGIN = /-----BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----/g;
const PEM_END = /-----END (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----/g;
/** What a body is made of; `\n` may be written as two characters, armor headers have a colon. */
const PEM_BODY = /[A-Za-z0-9+/=\s\\:,.()-]*/y;

/** Each block to its end; a truncated one to the last character that can belong to it. */
function* privateKeys(text: string): Generator<readonly [number, number]> {
  let ends: number[] | undefined;
  let nextEnd = 0;
  let done = 0;
  // what belongs to a body runs on over the next begin and end: it is measured once
  let bodyEnd = 0;
  for (const { 0: begin, index } of text.matchAll(PEM_BEGIN)) {
    if (index < done) continue;
    ends ??= Array.from(text.matchAll(PEM_END), (match) => match.index + match[0].length);
    while (nextEnd < ends.length && ends[nextEnd]! <= index) nextEnd++;
    const from = index + begin.length;
    if (from > bodyEnd) {
      PEM_BODY.lastIndex = from;
      bodyEnd = from + (PEM_BODY.exec(text)?.[0].length ?? 0);
    }
    const end = ends[nextEnd];
    done = end !== undefined && end <= bodyEnd ? end : bodyEnd;
    yield [index, done];
  }
}

export const SECRETS: readonly Detector[] = [
  {
    id: 'openai-key',
    name: 'OpenAI API key',
    kind: 'secret',
    example: 'sk-proj-a1B2c3D4e5F6g7H8i9J0k1L2',
    isToken: true,
    trigger: /sk-[A-Za-z0-9]/,
    pattern: /(?<![A-Za-z0-9_-])sk-(?!ant-|lf-|or-v1-)[A-Za-z0-9_-]{20,256}/g,
    check: (key) =>
      looksRandom(key) && /\d/.test(key) && (/^sk-(?:proj|svcacct|admin|None)-/.test(key) || /^sk-[^-]{20,}/.test(key)),
  },
  {
    id: 'anthropic-key',
    name: 'Anthropic API key',
    kind: 'secret',
    example: 'sk-ant-api03-a1B2c3D4e5F6g7H8i9J0k1L2',
    isToken: true,
    trigger: /sk-ant-/,
    pattern: /(?<![A-Za-z0-9_-])sk-ant-[A-Za-z0-9_-]{20,256}/g,
    check: looksRandom,
  },
  {
    id: 'aws-key-id',
    name: 'AWS access key id',
    kind: 'secret',
    example: 'AKIAIOSFODNN7EXAMPLE',
    isToken: true,
    trigger: /A(?:KIA|SIA|BIA|CCA)/,
    pattern: /(?<![A-Za-z0-9])A(?:KIA|SIA|BIA|CCA)[A-Z0-9]{16}(?![A-Za-z0-9])/g,
    check: looksRandom,
  },
  {
    id: 'aws-secret',
    name: 'AWS secret access key',
    kind: 'secret',
    example: 'aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
    trigger: /aws|secret/i,
    pattern:
      /(?:aws|secret)[\w .-]{0,40}["']?[ \t]{0,4}[:=][ \t]{0,4}["']?(?<value>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])/gi,
    check: looksRandom,
  },
  {
    id: 'github-token',
    name: 'GitHub token',
    kind: 'secret',
    example: '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',
    isToken: true,
    trigger: /gh[pousr]_|github_pat_/,
    pattern: /(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{36,251}|github_pat_[A-Za-z0-9_]{40,255})/g,
    check: (token) => hasTokenChecksum(token) || looksRandom(token.slice(token.indexOf('_') + 1)),
  },
  {
    id: 'gitlab-token',
    name: 'GitLab token',
    kind: 'secret',
    example: 'glpat-a1B2c3D4e5F6g7H8i9J0',
    isToken: true,
    trigger: /gl(?:pat|dt|rt|cbt|ptt|ft|soat|oas|agent|imt)-/,
    pattern: /(?<![A-Za-z0-9])gl(?:pat|dt|rt|cbt|ptt|ft|soat|oas|agent|imt)-[A-Za-z0-9_.-]{20,300}/g,
    check: looksRandom,
  },
  {
    id: 'slack-token',
    name: 'Slack token or webhook',
    kind: 'secret',
    example: 'xoxb-1234567890-a1B2c3D4e5F6',
    isToken: true,
    trigger: /xox[a-z]-|xapp-\d|hooks\.slack\.com/,
    pattern:
      /(?<![A-Za-z0-9])(?:xox[abceoprs]-[A-Za-z0-9-]{10,250}|xapp-\d-[A-Za-z0-9-]{20,250}|hooks\.slack\.com\/(?:services|workflows)\/[A-Za-z0-9/]{20,250})/g,
    check: (token) => /\d/.test(token) && looksRandom(token),
  },
  {
    id: 'stripe-key',
    name: 'Stripe key',
    kind: 'secret',
    example: 'sk_test_4eC39HqLyjWDarjtT1zdp7dc',
    isToken: true,
    trigger: /[sr]k_(?:live|test)_|whsec_/,
    pattern: /(?<![A-Za-z0-9])(?:[sr]k_(?:live|test)_[A-Za-z0-9]{16,247}|whsec_[A-Za-z0-9+/=]{24,100})/g,
    check: looksRandom,
  },
  {
    id: 'google-key',
    name: 'Google API key or token',
    kind: 'secret',
    example: 'AIzaSyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q',
    isToken: true,
    trigger: /AIza|ya29\.|GOCSPX-/,
    pattern:
      /(?<![A-Za-z0-9_-])(?:AIza[A-Za-z0-9_-]{35}|ya29\.[A-Za-z0-9_-]{20,2000}|GOCSPX-[A-Za-z0-9_-]{28})(?![A-Za-z0-9])/g,
    check: looksRandom,
  },
  {
    id: 'huggingface-token',
    name: 'Hugging Face token',
    kind: 'secret',
    example: 'hf_aBcDeFgHiJkLmNoPqRsTuVwXyZaBcDeFgH',
    isToken: true,
    trigger: /hf_|api_org_/,
    pattern: /(?<![A-Za-z0-9])(?:hf|api_org)_[A-Za-z0-9]{34,40}(?![A-Za-z0-9])/g,
    check: looksRandom,
  },
  {
    id: 'npm-token',
    name: 'npm token',
    kind: 'secret',
    example: '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',
    isToken: true,
    trigger: /npm_/,
    pattern: /(?<![A-Za-z0-9])npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])/g,
    check: (token) => hasTokenChecksum(token) || looksRandom(token.slice(4)),
  },
  {
    id: 'lumatrace-key',
    name: 'LumaTrace API key',
    kind: 'secret',
    example: 'lumina_live_…',
    isToken: true,
    trigger: /lumina_(?:live|test)_/,
    // A key with a wrong checksum is a mistyped one: it is taken out too.
    pattern: /(?<![A-Za-z0-9])lumina_(?:live|test)_[0-9A-Za-z]{20,80}/g,
    check: looksRandom,
  },
  {
    id: 'service-token',
    name: 'Token of another service (Langfuse, OpenRouter, Groq, SendGrid, PyPI, Vault, …)',
    kind: 'secret',
    example: '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',
    isToken: true,
    trigger: serviceTrigger,
    pattern: serviceTokens,
    check: looksRandom,
  },
  {
    id: 'jwt',
    name: 'JSON web token',
    kind: 'secret',
    example: 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl',
    isToken: true,
    // A constant number of characters: a run up to the full stop would be read again from each `eyJ` in it.
    trigger: /eyJ[A-Za-z0-9_-]{8}/,
    pattern: /(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,4096}\.[A-Za-z0-9_-]{4,65536}(?:\.[A-Za-z0-9_-]{0,65536}){0,3}/g,
    check: isJwt,
  },
  {
    id: 'private-key',
    name: 'Private key (PEM), truncated ones too',
    kind: 'secret',
    example: '-----BEGIN PRIVATE KEY----- … -----END PRIVATE KEY-----',
    isToken: true,
    trigger: /-----BEGIN [A-Z0-9 ]{0,80}PRIVATE KEY/,
    find: privateKeys,
  },
  {
    id: 'connection-password',
    name: 'Password in an address',
    kind: 'secret',
    example: 'postgres://app:s3cret@db.internal/app',
    trigger: /:\/\/[^\s:/@"'<>]{0,200}:[^\s@"'<>]{1,200}@/,
    pattern: /(?<=[A-Za-z0-9]):\/\/[^\s:/@"'<>]{0,200}:(?<value>[^\s@"'<>]{1,200})@/g,
    check: (password) => !isReference(password) && !/^\d{1,5}\//.test(password) && !/^(?:\*+|x+)$/i.test(password),
  },
  {
    id: 'authorization',
    name: 'Authorization or cookie header',
    kind: 'secret',
    example: 'Authorization: Bearer a1b2c3d4e5f6g7h8',
    trigger: /bearer|basic|authorization|cookie/i,
    pattern:
      /(?<![A-Za-z])(?:(?:set-)?cookie["']?[ \t]{0,4}:[ \t]{0,4}|bearer[ \t]{1,4}|basic[ \t]{1,4}|authorization["']?[ \t]{0,4}[:=][ \t]{0,4}["']?(?:(?:token|apikey|digest|negotiate)[ \t]{1,4})?)(?<value>[A-Za-z0-9._~+/=:-]{8,8192}|(?<=cookie["']?[ \t]{0,4}:[ \t]{0,4})[^\s=;,"']{1,100}=[^\r\n"']{4,8000})/gi,
    check: (value, { 0: found }) =>
      /^basic[ \t]/i.test(found)
        ? isBasic(value)
        : looksRandom(value) && (/\d/.test(value) || /[a-z][A-Z]/.test(value)) && !isReference(value),
  },
  {
    id: 'assigned-secret',
    name: 'Value of a key, token, secret or password in text',
    kind: 'secret',
    example: 'api_key=9f8e7d6c5b4a',
    trigger: /(?:key|token|secret|passw(?:or)?d|db[_-]?pass|passphrase|pwd)["'\\]{0,3}[ \t]{0,4}[:=]/i,
    pattern:
      /(?:api[_-]?key|access[_-]?key|account[_-]?key|private[_-]?key|signing[_-]?key|encryption[_-]?key|secret(?:[_-]?key)?|token|passw(?:or)?d|db[_-]?pass|passphrase|pwd)["'\\]{0,3}[ \t]{0,4}[:=][ \t]{0,4}["'\\]{0,3}(?<value>(?<=["'])[^"'\\\s]{6,500}|[^\s"'\\,;&<>(){}[\]]{6,500})/gi,
    check: isAssigned,
  },
];

/** The rule under which values of attributes and members go whose name says that they are secret. */
export const NAMED_SECRET: Detector = {
  id: 'named-secret',
  name: 'Attribute or JSON member whose name says that it is secret',
  kind: 'secret',
  example: 'db.password, {"client_secret": …}',
  trigger: /(?!)/,
};
