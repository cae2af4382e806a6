// What the palette finds.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { matchingCommands } from './commands.ts';

test('every word that is typed must be in the name, in any order and case', () => {
  assert.deepEqual(
    matchingCommands('ERRORS traces').map(({ href }) => href),
    ['/traces?filter=error'],
  );
  assert.deepEqual(matchingCommands('no such thing'), []);
  assert.ok(matchingCommands('').length > 10);
});

test('an id leads to its page: 32 hex digits are a trace, a UUID a photo or a trace', () => {
  const trace = '0AF7651916CD43DD8448EB211C80319C';
  assert.equal(matchingCommands(` ${trace} `)[0]?.href, `/traces/${trace.toLowerCase()}`);
  const photo = '6f9619ff-8b86-4d01-b42d-00cf4fc964ff';
  assert.deepEqual(
    matchingCommands(photo).map(({ href }) => href),
    [`/photos/${photo}`, '/traces/6f9619ff8b864d01b42d00cf4fc964ff'],
  );
});
