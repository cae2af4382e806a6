// What people and programs write every day, and the secrets that look most like it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileRedaction, DEFAULT_REDACTION } from '../redact.ts';

const redaction = compileRedaction(DEFAULT_REDACTION);

const ORDINARY = [
  '{"token":" world!","logprob":-0.2,"bytes":[32,119]}',
  '{"token":"USDC","chain":"eth"}',
  '{"pwd":"/home/me/project2"}',
  'PWD=/home/user/project1',
  'const token = getNextToken();',
  'const secret = readSecret2(file)',
  'let apiKey = options.apiKey ?? ""',
  'token: Token.IDENTIFIER_42',
  'accessToken: session.accessToken',
  'password: user.password2',
  'token = Token::new(3)',
  'BASIC JavaScriptFundamentals',
  'use basic authentication1 scheme',
];

const SECRET = [
  '{"token":"a1b2c3d4e5f6g7"}',
  '{"pwd":"hunter2hunter2"}',
  '{"password":"correcthorse"}',
  'token=9f8e7d6c5b4a',
  'password = "hunter2!x"',
  'password=S3cr3t.Pass.word1',
  'secret: "abc.def1"',
  'Authorization: Basic dXNlcjpwYXNzd29yZDE=',
];

for (const text of ORDINARY) {
  test(`left as it is: ${text}`, () => {
    assert.equal(redaction.redactText(text).text, text);
  });
}

for (const text of SECRET) {
  test(`taken out: ${text}`, () => {
    const { text: redacted, hits } = redaction.redactText(text);
    assert.equal(hits.length, 1);
    assert.match(redacted, /\[redacted:/);
  });
}
