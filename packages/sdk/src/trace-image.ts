// A model call that makes pictures: its span, the pictures protected before anybody gets them, and the tie between both.
import { context, SpanKind, trace as otel, type Attributes, type Span } from '@opentelemetry/api';
import { textOf } from './context.ts';
import { describeAnswer, type Answer } from './instrument/answers.ts';
import { newCall, sawInstrumentedCall, withCallMark, type CallMark } from './instrument/call.ts';
import type { ImageInput } from './photo-body.ts';
import { photos as defaultPhotos, type Photos } from './photos.ts';
import type { Profile, ProtectedImage, ProtectOptions } from './photo-types.ts';
import { picturesOf, type ImageAnswer } from './pictures.ts';
import { runtime, type Runtime } from './runtime.ts';
import { describe, fail, type TraceLLMOptions } from './trace.ts';

/** What each profile must be told; the server refuses the same, but only after the picture was paid for. */
export const PROFILE_NEEDS: Readonly<Record<Profile, readonly (keyof ProtectOptions)[]>> = {
  'ai-generated': ['aiSystem'],
  'eu-ai-act-art-50': ['aiProvider', 'aiSystem'],
  'ca-sb-942': ['aiProvider', 'aiSystem', 'aiSystemVersion'],
};

/** What a call decides itself; each of its pictures has an Idempotency-Key of its own. */
type OwnOptions = 'traceId' | 'spanId' | 'idempotencyKey' | 'profile' | 'aiProvider' | 'aiSystem' | 'aiSystemVersion';

export interface TraceImageOptions extends TraceLLMOptions {
  /** The model that is asked; it stands in the picture's credentials too. */
  model: string;
  modelVersion?: string;
  /** Who offers it, in the picture's credentials; default `system`. */
  provider?: string;
  /** Default `ai-generated`. */
  profile?: Profile;
  /** More for the protection: title, author, strength, … */
  protect?: Omit<ProtectOptions, OwnOptions>;
  /** Publish each photo, so that copies without credentials lead anybody to them. Default false. */
  publish?: boolean;
  /** Default `throw`: no picture comes out unprotected. */
  onFailure?: 'throw' | 'return-unprotected';
  /** Default: `photos`, the installation of initLumina. */
  photos?: Photos;
}

export interface ImageInTrace {
  state: 'protected';
  /** The protected file. */
  image: Uint8Array;
  photoId: string;
  mediaType: string;
  /** SHA-256 of the picture as the model gave it. */
  contentHash: string;
}

/** Only with `onFailure: 'return-unprotected'`. */
export interface UnprotectedImage {
  state: 'unprotected';
  /** As the model gave it. */
  image: Uint8Array;
  photoId: null;
  /** Why it is not protected. */
  error: unknown;
}

/** The first picture, where the answer holds several; all are in `images`. */
export type TracedImage<Image, Answered> = Image & {
  /** Null when the SDK does not run: there is no span then. */
  traceId: string | null;
  spanId: string | null;
  images: Image[];
  /** What the function answered, its pictures not protected. */
  answer: Answered;
};

/**
 * Runs `fn`, one call of a model that makes pictures, in a span; protects what it gives and answers the protected files.
 * @throws what `fn` throws; PhotoError when a picture is not protected, TypeError when the answer holds none or the profile
 *   misses a fact (then `fn` is not called)
 */
export function traceImage<Answered extends ImageAnswer>(
  options: TraceImageOptions & { onFailure: 'return-unprotected' },
  fn: (span: Span) => Promise<Answered> | Answered,
): Promise<TracedImage<ImageInTrace | UnprotectedImage, Answered>>;
export function traceImage<Answered extends ImageAnswer>(
  options: TraceImageOptions & { onFailure?: 'throw' },
  fn: (span: Span) => Promise<Answered> | Answered,
): Promise<TracedImage<ImageInTrace, Answered>>;
export async function traceImage<Answered extends ImageAnswer>(
  options: TraceImageOptions,
  fn: (span: Span) => Promise<Answered> | Answered,
): Promise<TracedImage<ImageInTrace | UnprotectedImage, Answered>> {
  const facts = factsOf(options);
  const call = startCall(options);
  try {
    const answer = await context.with(call.inside, () => fn(call.span));
    call.tell((told) => told.whole(answer));
    const images = await protectAll(options, facts, call, await picturesOf(answer));
    call.end();
    return { ...(images[0] as ImageInTrace), ...idsOf(call), images, answer };
  } catch (error) {
    call.end(error);
    throw error;
  }
}

type Facts = Pick<ProtectOptions, 'profile' | 'aiProvider' | 'aiSystem' | 'aiSystemVersion'>;

function factsOf({ profile = 'ai-generated', provider, system, model, modelVersion }: TraceImageOptions): Facts {
  const aiProvider = provider ?? system;
  const facts: Facts = {
    profile,
    aiSystem: model,
    ...(aiProvider === undefined ? {} : { aiProvider }),
    ...(modelVersion === undefined ? {} : { aiSystemVersion: modelVersion }),
  };
  const missing = PROFILE_NEEDS[profile].find((name) => facts[name as keyof Facts] === undefined);
  if (missing !== undefined) throw new TypeError(`Expected ${OPTION_OF[missing]} for the profile ${profile}.`);
  return facts;
}

const OPTION_OF: Partial<Record<keyof ProtectOptions, string>> = {
  aiProvider: 'provider',
  aiSystem: 'model',
  aiSystemVersion: 'modelVersion',
};

async function protectAll(
  options: TraceImageOptions,
  facts: Facts,
  call: Call,
  pictures: Uint8Array[],
): Promise<(ImageInTrace | UnprotectedImage)[]> {
  const images: (ImageInTrace | UnprotectedImage)[] = [];
  // one after the other: a picture is tens of megabytes in the memory of both sides
  for (const picture of pictures) {
    try {
      images.push({ state: 'protected', ...(await protectOne(options, facts, call, picture)) });
    } catch (error) {
      if (options.onFailure !== 'return-unprotected') throw error;
      call.failed(error);
      images.push({ state: 'unprotected', image: picture, photoId: null, error });
    }
    call.tellPhotos(images, facts);
  }
  await publishAll(options, images);
  return images;
}

// what is not published is still protected: such a failure is thrown, whatever is said of failures to protect
async function publishAll(
  { publish, photos = defaultPhotos, protect }: TraceImageOptions,
  images: readonly (ImageInTrace | UnprotectedImage)[],
): Promise<void> {
  if (publish !== true) return;
  const options = protect?.signal === undefined ? {} : { signal: protect.signal };
  for (const { photoId } of images) if (photoId !== null) await photos.publish(photoId, options);
}

async function protectOne(
  { photos = defaultPhotos, protect }: TraceImageOptions,
  facts: Facts,
  call: Call,
  picture: ImageInput,
): Promise<Omit<ImageInTrace, 'state'>> {
  const { traceId, spanId } = idsOf(call);
  const tie = traceId === null || spanId === null ? {} : { traceId, spanId };
  const made: ProtectedImage = await photos.protect(picture, { ...protect, ...facts, ...tie });
  const { photoId, image, mediaType, contentHash } = made;
  return { photoId, image, mediaType, contentHash };
}

/** The span of a call, which ends once; without a running SDK nothing is told and all is done. */
interface Call {
  span: Span;
  isTraced: boolean;
  inside: ReturnType<typeof context.active>;
  tell(read: (answer: Answer) => void): void;
  tellPhotos(images: readonly (ImageInTrace | UnprotectedImage)[], facts: Facts): void;
  failed(error: unknown): void;
  end(error?: unknown): void;
}

function startCall(options: TraceImageOptions): Call {
  const active = runtime();
  const span = active?.notices.guard(() => startSpan(active, options));
  const mark = newCall();
  if (active === undefined || span === undefined) return untraced();
  const answer = describeAnswer(active.settings.captureContent);
  const guard = (work: () => void): void => void active.notices.guard(work);
  return {
    span,
    isTraced: true,
    inside: withCallMark(otel.setSpan(context.active(), span), mark),
    tell: (read) => guard(() => read(answer)),
    tellPhotos: (images, facts) => guard(() => void span.setAttributes(photoAttributes(images, facts))),
    failed: (error) => guard(() => fail(span, error)),
    end: (error) => {
      guard(() => endSpan(span, options, answer, mark));
      if (error !== undefined) guard(() => fail(span, error));
      span.end();
    },
  };
}

const nothing = (): void => undefined;

function untraced(): Call {
  const span = otel.wrapSpanContext({ traceId: '0'.repeat(32), spanId: '0'.repeat(16), traceFlags: 0 });
  const inside = context.active();
  return { span, isTraced: false, inside, tell: nothing, tellPhotos: nothing, failed: nothing, end: nothing };
}

function startSpan({ tracer, settings }: Runtime, options: TraceImageOptions): Span {
  const { model, system, prompt, name } = options;
  const attributes: Attributes = {
    ...options.attributes,
    ...describe(options),
    'gen_ai.request.model': model,
    'gen_ai.output.type': 'image',
  };
  if (system !== undefined) attributes['gen_ai.provider.name'] = system;
  if (prompt !== undefined && settings.captureContent) {
    const parts = [{ type: 'text', content: textOf(prompt) }];
    attributes['gen_ai.input.messages'] = JSON.stringify([{ role: 'user', parts }]);
  }
  return tracer.startSpan(name ?? `generate_content ${model}`, { kind: SpanKind.CLIENT, attributes });
}

function endSpan(span: Span, { name }: TraceImageOptions, answer: Answer, mark: CallMark): void {
  // the instrumented client inside tells usage and cost: one call is told, and billed, once
  const isWrapper = sawInstrumentedCall(mark);
  span.setAttributes(isWrapper ? answer.content() : { ...answer.content(), ...answer.usage() });
  span.setAttribute('gen_ai.operation.name', isWrapper ? 'invoke_workflow' : 'generate_content');
  if (isWrapper && name !== undefined) span.setAttribute('gen_ai.workflow.name', name);
}

function photoAttributes(images: readonly (ImageInTrace | UnprotectedImage)[], { profile }: Facts): Attributes {
  const done = images.flatMap((image) => (image.state === 'protected' ? [image] : []));
  const [first] = done;
  return {
    'lumatrace.photo.state': done.length === images.length ? 'protected' : 'unprotected',
    ...(profile === undefined ? {} : { 'lumatrace.photo.profile': profile }),
    ...(first === undefined ? {} : { 'lumatrace.photo_id': first.photoId }),
    ...(first === undefined ? {} : { 'lumatrace.photo.content_hash': first.contentHash }),
    ...(done.length > 1 ? { 'lumatrace.photo_ids': done.map(({ photoId }) => photoId) } : {}),
  };
}

function idsOf({ span, isTraced }: Call): { traceId: string | null; spanId: string | null } {
  if (!isTraced) return { traceId: null, spanId: null };
  const { traceId, spanId } = span.spanContext();
  return { traceId, spanId };
}
