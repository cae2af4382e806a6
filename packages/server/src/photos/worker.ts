// The thread that sees pixels. One job at a time; keys that sign are not here, signatures and time stamps are asked for.
import { parentPort, type MessagePort } from 'node:worker_threads';
import type { ImageJob, Question } from './images.ts';
import { examinePicture, identifyPicture, protectPicture, rebuildPicture, type Outcome } from './picture.ts';
import { codeOf, JobError, type FromWorker, type ToWorker } from './pool.ts';

const port = parentPort as MessagePort;
const asked = new Map<number, PromiseWithResolvers<unknown>>();
let questions = 0;

port.on('message', (message: ToWorker) => {
  if (message.type === 'job') void work(message.payload as ImageJob);
  else if (message.type === 'answer') take(message.question)?.resolve(message.value);
  else take(message.question)?.reject(new JobError(message.message, message.code));
});

async function work(job: ImageJob): Promise<void> {
  try {
    const { result, transfer } = await RUN[job.kind](job as never);
    tell({ type: 'done', result }, transfer);
  } catch (error) {
    tell({
      type: 'failed',
      error: { message: error instanceof Error ? error.message : String(error), code: codeOf(error) },
    });
  }
}

const RUN: Readonly<Record<ImageJob['kind'], (job: never) => Promise<Outcome>>> = {
  protect: (job) => protectPicture(job, { sign: ask('sign'), stamp: ask('stamp') }),
  rebuild: rebuildPicture,
  examine: examinePicture,
  identify: identifyPicture,
};

/** Private keys and the network are behind the main thread: it hands the bytes to who may sign, or tell the time. */
const ask =
  (about: Question['about']) =>
  (bytes: Uint8Array): Promise<Uint8Array> => {
    const reply = Promise.withResolvers<unknown>();
    const question = ++questions;
    asked.set(question, reply);
    tell({ type: 'ask', question, about: { about, bytes } satisfies Question });
    return reply.promise as Promise<Uint8Array>;
  };

function take(question: number): PromiseWithResolvers<unknown> | undefined {
  const reply = asked.get(question);
  asked.delete(question);
  return reply;
}

function tell(message: FromWorker, transfer: readonly ArrayBuffer[] = []): void {
  port.postMessage(message, transfer);
}
