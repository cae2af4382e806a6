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
  'password=$DB_PASSWORD_1',
  'password: "${DB_PASSWORD_1}"',
  'password=${DB_USER1}${DB_SUFFIX2}',
  'password = "<your-password-1>"',
  'password: "<insert 1 password here>"',
  'api_key: "{{ vault_api_key1 }}"',
  'api_key: "{{vault_api_key1}}"',
  'api_key: ${{ secrets.API_KEY1 }}',
  'set password=%MY_PASSWORD1%',
  'password: "%(db_password1)s"',
  'password: "%env(DB_PASSWORD1)%"',
  'password=$this->password1',
  '$password = $env:DB_PASSWORD1',
  '{"password":"${DB_PASSWORD_1}","api_key":"<your API key 1>","db_pass":"{{ db.pass }}"}',
  'postgres://app:${DB_PASSWORD}@db.internal/app',
  'postgres://app:$DB_PASSWORD@db.internal/app',
  'fmt.Sprintf("postgres://app:%s@db.internal/app")',
  'f"postgres://{user}:{password}@{host}/{}", "amqp://{}:{}@queue"',
  '{"password":"{db.password}"}',
  'the signing key: see chapter2',
  'Passwords: argon2id with the parameters of OWASP',
  'compass: north1234',
  '{"encryption_key_id":"key-17","githubTokens":3}',
];

const SECRET = [
  '{"token":"a1b2c3d4e5f6g7"}',
  '{"pwd":"hunter2hunter2"}',
  '{"password":"correcthorse"}',
  'token=9f8e7d6c5b4a',
  'password = "hunter2!x"',
  'password=S3cr3t.Pass.word1',
  'secret: "abc.def1"',
  'password=$ecretP@ssw0rd',
  'password: "$ecretP@ssw0rd"',
  'password=%ecretP4ssword',
  'password: "<ecretP4ssword"',
  'password: "${ecretP4ssword"',
  '{"password":"$ecretP@ssw0rd"}',
  '{"password":"<b>Tr0ub4dor"}',
  'postgres://app:%40bcdef1@db.internal/app',
  'postgres://app:$ecret!P4ss@db.internal/app',
  '{"githubToken":"correcthorse"}',
  '{"gitlab_token":"correcthorse"}',
  '{"secret-token":"correcthorse"}',
  '{"securityToken":"correcthorse"}',
  '{"signing_key":"correcthorse"}',
  '{"encryptionKey":"correcthorse"}',
  '{"DB_PASS":"correcthorse"}',
  '{"passwords":["correcthorse"]}',
  '{"webhookSecret":"correcthorse"}',
  'SIGNING_KEY=9f8e7d6c5b4a',
  'encryption-key: 9f8e7d6c5b4a',
  'DB_PASS=9f8e7d6c5b4a',
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
