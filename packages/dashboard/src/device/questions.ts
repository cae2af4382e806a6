// Cryptography of the browser answers later, and the code that it shares with the server asks at once. So a reading is run
// with provisional answers, what it asked is answered meanwhile, and it is run again until nothing is open. Only the
// reading that asked nothing new is believed.

type Answer = Uint8Array<ArrayBuffer> | boolean;

interface Question {
  readonly kind: string;
  readonly parts: readonly Uint8Array[];
  readonly ask: () => Promise<Answer>;
  answer: Answer | undefined;
}

/** A chain of certificates needs one round for each step, a time stamp a few more. */
const MOST_ROUNDS = 32;
const MOST_QUESTIONS = 1_000;

export class TooManyQuestions extends Error {
  constructor() {
    super('The credentials ask for more cryptography than is done for one file.');
  }
}

let questions: Question[] = [];
let open = 0;

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}

/** The answer if it is known, else `provisional`; equal `kind` and `parts` are one question. */
export function answerTo<T extends Answer>(
  kind: string,
  parts: readonly Uint8Array[],
  ask: () => Promise<T>,
  provisional: T,
): T {
  const known = questions.find(
    (question) => question.kind === kind && question.parts.every((part, at) => isSame(part, parts[at] ?? EMPTY)),
  );
  if (known !== undefined) return known.answer === undefined ? provisional : (known.answer as T);
  if (questions.length >= MOST_QUESTIONS) throw new TooManyQuestions();
  // copies: the caller may go on with its buffer
  questions.push({ kind, parts: parts.map((part) => new Uint8Array(part)), ask, answer: undefined });
  open++;
  return provisional;
}

const EMPTY = new Uint8Array(0);

/** What `reading` returns once every answer that it asked for is known. @throws TooManyQuestions */
export async function untilAnswered<T>(reading: () => Promise<T>): Promise<T> {
  questions = [];
  for (let round = 0; round < MOST_ROUNDS; round++) {
    open = 0;
    const result = await reading();
    if (open === 0) return result;
    await Promise.all(
      questions
        .filter(({ answer }) => answer === undefined)
        .map(async (question) => {
          question.answer = await question.ask();
        }),
    );
  }
  throw new TooManyQuestions();
}
