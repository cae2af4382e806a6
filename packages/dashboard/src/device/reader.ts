// Reads credentials on this device. What it needs is loaded once, when first asked for; afterwards a file is read without
// any request: its bytes go to a worker that can make none.
import wasmUrl from '@contentauth/c2pa-wasm/c2pa.wasm?url';
import { ApiError, fetchBytes, fetchJson } from '../api/client.ts';
import workerUrl from './reader.worker.ts?worker&url';
import type { DeviceAnswer, DeviceBelief, DeviceReading } from './reading.ts';

/** A file that takes longer is given up, and its worker ended with it. The largest honest file takes two seconds. */
const LONGEST_READING_MS = 20_000;

/** A revocation is seen as late as this. */
const OLDEST_BELIEF_MS = 300_000;

export class DeviceError extends Error {}

interface ScriptUrls {
  createPolicy(
    name: string,
    rules: { createScriptURL: (url: string) => string },
  ): { createScriptURL(url: string): string };
}

// the page's policy lets nothing but this one address become a script (http/security-headers.ts)
let trustedUrl: string | undefined;
function scriptUrl(): string {
  const { trustedTypes } = globalThis as { trustedTypes?: ScriptUrls };
  trustedUrl ??= trustedTypes === undefined ? workerUrl : onlyWorker(trustedTypes);
  return trustedUrl;
}

function createScriptURL(url: string): string {
  if (url !== workerUrl) throw new TypeError('Expected the reader of credentials');
  return url;
}

function onlyWorker(trustedTypes: ScriptUrls): string {
  return trustedTypes.createPolicy('device-reader', { createScriptURL }).createScriptURL(workerUrl);
}

interface Loaded {
  readonly wasm: ArrayBuffer;
  belief: DeviceBelief;
  /** When `belief` was asked for, by `performance.now()`. */
  askedMs: number;
  /** Started before it is needed, so that the next file is read without a network too. */
  next: Worker;
}

let loading: Promise<Loaded> | undefined;

/** Loads the library and whom this installation believes; later calls cost nothing. @throws ApiError, DeviceError */
export function prepareDevice(): Promise<unknown> {
  loading ??= load().catch((error: unknown) => {
    loading = undefined; // ask again next time
    throw error;
  });
  return loading;
}

async function load(): Promise<Loaded> {
  if (!globalThis.isSecureContext)
    throw new DeviceError(
      'Browsers offer the cryptography for this over https only. Open this page by https, or send the picture.',
    );
  const [wasm, belief] = await Promise.all([
    fetchBytes(wasmUrl).then((response) => response.arrayBuffer()),
    fetchJson<DeviceBelief>('/api/v1/detect/belief'),
  ]);
  return { wasm, belief, askedMs: performance.now(), next: start(wasm) };
}

// a page may stay open for days; without a network the last answer stands
async function renew(loaded: Loaded): Promise<void> {
  if (performance.now() - loaded.askedMs < OLDEST_BELIEF_MS) return;
  try {
    loaded.belief = await fetchJson<DeviceBelief>('/api/v1/detect/belief');
    loaded.askedMs = performance.now();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
  }
}

function start(wasm: ArrayBuffer): Worker {
  const worker = new Worker(scriptUrl(), { type: 'module' });
  worker.postMessage({ wasm }, []);
  return worker;
}

/** @throws ApiError while loading; DeviceError for a file that is none, takes too long, or breaks the reader. */
export async function readOnDevice(file: File, signal: AbortSignal): Promise<DeviceReading> {
  await prepareDevice();
  const loaded = await loading;
  if (loaded === undefined) throw new DeviceError('The reader is not loaded.');
  await renew(loaded);
  const bytes = await file.arrayBuffer();
  signal.throwIfAborted();
  const worker = loaded.next;
  loaded.next = start(loaded.wasm);
  try {
    const answer = await answerOf(worker, { bytes, belief: loaded.belief }, signal);
    if ('reading' in answer) return answer.reading;
    throw new DeviceError('refused' in answer ? answer.refused : `The file broke its reader: ${answer.failed}`);
  } finally {
    worker.terminate(); // with all the memory that the file took
  }
}

function answerOf(
  worker: Worker,
  order: { bytes: ArrayBuffer; belief: DeviceBelief },
  signal: AbortSignal,
): Promise<DeviceAnswer> {
  return new Promise((resolve, reject) => {
    const timer = window.setTimeout(
      () => reject(new DeviceError(`Reading took longer than ${LONGEST_READING_MS / 1_000} seconds and was ended.`)),
      LONGEST_READING_MS,
    );
    const stop = (error: Error): void => {
      window.clearTimeout(timer);
      reject(error);
    };
    signal.addEventListener('abort', () => stop(new DeviceError('Cancelled.')), { once: true });
    worker.addEventListener('error', () => stop(new DeviceError('The file broke its reader.')));
    worker.addEventListener('message', ({ data }: MessageEvent<DeviceAnswer>) => {
      window.clearTimeout(timer);
      resolve(data);
    });
    worker.postMessage(order, [order.bytes]);
  });
}
