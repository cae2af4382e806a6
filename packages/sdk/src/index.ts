// @lumatrace/sdk: traces of LLM applications, on OpenTelemetry. What is exported here is the public contract.
export { initLumina, flush, shutdown, counts, spanProcessor } from './runtime.ts';
export { trace, traceLLM } from './trace.ts';
export { traceImage } from './trace-image.ts';
export { score } from './score.ts';
export { withAssociation, withSession, withUser } from './context.ts';
export { Photos, photos } from './photos.ts';
export { PhotoError } from './photo-error.ts';
export { instrument } from './instrument/client.ts';
export type { ApiKey, LuminaOptions } from './options.ts';
export type { Association } from './context.ts';
export type { ImageInput } from './photo-body.ts';
export type { PhotoErrorCode } from './photo-error.ts';
export type { PhotosOptions } from './photos.ts';
export type {
  CallOptions,
  Credentials,
  Finding,
  Identification,
  ListOptions,
  LogProof,
  LogReceipt,
  Match,
  PhotoDetail,
  PhotoPage,
  PhotoSummary,
  Profile,
  ProtectedImage,
  ProtectOptions,
  Publication,
  ReceiptOptions,
  ReceiptVerification,
  Registered,
  RegisterOptions,
  Verification,
} from './photo-types.ts';
export type { Score } from './score.ts';
export type { SdkCounts } from './notices.ts';
export type { ImageInTrace, TracedImage, TraceImageOptions, UnprotectedImage } from './trace-image.ts';
export type { ImageAnswer, ImagesResponse } from './pictures.ts';
export type { StepKind, TraceLLMOptions, TraceOptions } from './trace.ts';
