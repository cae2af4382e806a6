// What a program may say to initLumina, and what holds when it says nothing.

/** A key as text, or how to get one (a secret manager): called lazily, its answer kept until the server refuses it. */
export type ApiKey = string | (() => Promise<string> | string);

export interface LuminaOptions {
  /** Base address of LumaTrace; default `LUMATRACE_ENDPOINT` or `http://localhost:3000`. */
  endpoint?: string;
  /** `service.name`; default `OTEL_SERVICE_NAME` or `unknown_service`. */
  service_name?: string;
  /** Default `LUMATRACE_API_KEY`. */
  api_key?: ApiKey;
  /** `deployment.environment.name`. */
  environment?: string;
  /** false: nothing is recorded or sent, and every wrapper only calls what it wraps. Default true. */
  enabled?: boolean;
  /** More resource attributes. */
  resource?: Record<string, string | number | boolean>;
  /** Spans in one request; default 512. */
  batch_size?: number;
  /** Longest time a span waits in the buffer; default 1,000. */
  flush_interval_ms?: number;
  /** Longest time for one request, and for the flush when the process ends; default 5,000. */
  timeout_ms?: number;
  /** Spans waiting or under way at most; further ones are dropped and counted. Default 2,048. */
  max_buffer_spans?: number;
  /** Estimated bytes waiting or under way at most; one larger span may wait alone. Default 4 MiB. */
  max_buffer_bytes?: number;
  /** Whether prompts, answers and tool calls are recorded at all; default true. */
  capture_content?: boolean;
  /** Takes the sentences that the SDK has to say, each kind once; default: one line on standard error. */
  on_warning?: (message: string) => void;
}

export interface Settings {
  endpoint: string;
  /** False: what was given is no address, and `endpoint` stands in for it; nothing is sent there. */
  hasEndpoint: boolean;
  serviceName: string;
  apiKey: ApiKey | undefined;
  environment: string | undefined;
  enabled: boolean;
  resource: Record<string, string | number | boolean>;
  batchSize: number;
  flushIntervalMs: number;
  timeoutMs: number;
  maxBufferSpans: number;
  maxBufferBytes: number;
  captureContent: boolean;
  onWarning: (message: string) => void;
}

const MIB = 1024 * 1024;

/** Bad values fall back to their default and are told: a wrong option never stops a program. */
export function settingsFrom(options: LuminaOptions, environment: NodeJS.ProcessEnv = process.env): Settings {
  const onWarning = options.on_warning ?? ((message) => process.stderr.write(`lumatrace: ${message}\n`));
  const positive = (name: keyof LuminaOptions, fallback: number, most: number): number => {
    const value = options[name];
    if (value === undefined) return fallback;
    if (typeof value === 'number' && Number.isFinite(value) && value > 0) return Math.min(value, most);
    onWarning(`Expected a positive number for ${name}; ${fallback} is used.`);
    return fallback;
  };
  const { endpoint, isUsable } = endpointFrom(options.endpoint ?? environment['LUMATRACE_ENDPOINT'], onWarning);
  const maxBufferSpans = positive('max_buffer_spans', 2_048, 1_000_000);
  return {
    endpoint,
    hasEndpoint: isUsable,
    serviceName: options.service_name ?? environment['OTEL_SERVICE_NAME'] ?? 'unknown_service',
    apiKey: options.api_key ?? environment['LUMATRACE_API_KEY'],
    environment: options.environment,
    enabled: (options.enabled ?? true) && isUsable,
    resource: options.resource ?? {},
    batchSize: Math.min(positive('batch_size', 512, 10_000), maxBufferSpans),
    flushIntervalMs: positive('flush_interval_ms', 1_000, 3_600_000),
    timeoutMs: positive('timeout_ms', 5_000, 600_000),
    maxBufferSpans,
    maxBufferBytes: positive('max_buffer_bytes', 4 * MIB, 1_024 * MIB),
    captureContent: options.capture_content ?? true,
    onWarning,
  };
}

/** The base address without `/v1/traces` and without a slash at its end. */
function endpointFrom(
  text: string | undefined,
  onWarning: Settings['onWarning'],
): { endpoint: string; isUsable: boolean } {
  const address = (text ?? 'http://localhost:3000').replace(/\/+$/, '').replace(/\/v1\/traces$/, '');
  if (URL.canParse(address) && /^https?:$/.test(new URL(address).protocol))
    return { endpoint: address, isUsable: true };
  onWarning('Expected an http or https URL for endpoint; nothing will be sent.');
  return { endpoint: 'http://localhost:3000', isUsable: false };
}
