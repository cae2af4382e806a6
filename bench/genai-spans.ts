// Realistic, varied GenAI spans for benches: agents that retrieve, call tools and talk to models, as OTLP protobuf.
// Deterministic for a seed. Names are those of the OpenTelemetry GenAI conventions; texts are made of common words.

/** Small, fast, well distributed: mulberry32 (Tommy Ettinger, public domain). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export interface BenchSpan {
  /** 32 and 16 hex digits. */
  traceId: string;
  spanId: string;
  parentSpanId: string | undefined;
  name: string;
  startNs: bigint;
  endNs: bigint;
  /** 0 unset, 2 error. */
  status: number;
  attributes: Array<[string, string | number | string[]]>;
}

export interface BenchRequest {
  service: string;
  spans: BenchSpan[];
}

const SERVICES = ['checkout-assistant', 'support-agent', 'contract-review', 'search-rag', 'code-helper', 'sales-mail'];
const MODELS: Array<[string, string]> = [
  ['openai', 'gpt-4o'],
  ['openai', 'gpt-4o-mini'],
  ['openai', 'gpt-4.1'],
  ['anthropic', 'claude-sonnet-4-5'],
  ['anthropic', 'claude-3-5-haiku-latest'],
  ['gcp.gemini', 'gemini-2.5-flash'],
  ['mistral_ai', 'mistral-large-latest'],
];
const TOOLS = [
  'search_orders',
  'get_invoice',
  'create_ticket',
  'lookup_customer',
  'run_query',
  'send_mail',
  'read_file',
];
const WORDS =
  `the of and to in a is that for it as was with be by on not he i this are or his from at which but have an had they you
were their one all we can her has there been if more when will would who so no said what up its about into than them only
other time new some could these two may first then do any like my now over such our man me even most made after also did
many off before must well back through years where much your way down should because long each just state people those
order invoice customer refund delivery address payment contract clause supplier price discount ticket account question
answer please thanks regarding number received weeks days ago product warranty return label tracking shipped warehouse
update status confirm details policy limit agreement section terms renewal notice party liability termination amount due
query result table column index error request response timeout server function value parameter deploy service latency
model token prompt context document source summary report meeting schedule budget forecast quarter region team manager`.split(
    /\s+/,
  );
const TRACE_WINDOW_NS = 600_000_000_000;

type Random = () => number;

const pick = <T>(random: Random, list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
const between = (random: Random, least: number, most: number): number =>
  least + Math.floor(random() * (most - least + 1));

function hexDigits(random: Random, digits: number): string {
  let text = '';
  while (text.length < digits) {
    text += Math.floor(random() * 4_294_967_296)
      .toString(16)
      .padStart(8, '0');
  }
  return text.slice(0, digits);
}

/** Words by a rough Zipf law: the first ones often, the last ones rarely. */
function prose(random: Random, length: number): string {
  let text = '';
  while (text.length < length) {
    const word = WORDS[Math.floor(random() ** 1.3 * WORDS.length)] as string;
    text += text === '' ? word : random() < 0.08 ? `. ${word}` : ` ${word}`;
    if (random() < 0.03) text += ` ${between(random, 10, 99_999)}`;
  }
  return text;
}

const textMessage = (role: string, content: string): object => ({ role, parts: [{ type: 'text', content }] });

/** `spanCount` spans of whole conversations, ending shortly before `nowNs`. */
export function benchRequest(random: Random, spanCount: number, nowNs: bigint): BenchRequest {
  const service = pick(random, SERVICES);
  const spans: BenchSpan[] = [];
  while (spans.length < spanCount) spans.push(...conversation(random, service, nowNs, spanCount - spans.length));
  return { service, spans };
}

/** Instructions of a service: the same in each of its calls, as they are in real traffic. */
const INSTRUCTIONS = new Map(SERVICES.map((service, i) => [service, prose(randomFrom(1_000 + i), 700)]));

function conversation(random: Random, service: string, nowNs: bigint, most: number): BenchSpan[] {
  const traceId = hexDigits(random, 32);
  const rootId = hexDigits(random, 16);
  const [provider, model] = pick(random, MODELS);
  const sessionId = `session-${hexDigits(random, 12)}`;
  const userId = `user-${between(random, 1, 5_000)}`;
  const question = prose(random, between(random, 80, 400));
  const history: object[] = [textMessage('user', question)];
  let clockNs = nowNs - BigInt(Math.floor(random() * TRACE_WINDOW_NS)) - 20_000_000_000n;
  const startNs = clockNs;
  const children: BenchSpan[] = [];
  const add = (name: string, ms: number, attributes: BenchSpan['attributes'], status = 0): void => {
    const from = clockNs + BigInt(between(random, 100_000, 2_000_000));
    clockNs = from + BigInt(ms) * 1_000_000n + BigInt(between(random, 0, 999_999));
    const spanId = hexDigits(random, 16);
    children.push({ traceId, spanId, parentSpanId: rootId, name, startNs: from, endNs: clockNs, status, attributes });
  };
  const turns = Math.min(most - 1, between(random, 3, 9));
  let answer = '';
  for (let turn = 0; turn < turns; turn++) {
    const kind = random();
    if (turn === 0 && kind < 0.5) add('retrieval', between(random, 20, 200), retrievalOf(random, question));
    else if (turn > 0 && kind < 0.3) {
      const failed = random() < 0.05;
      const tool = pick(random, TOOLS);
      add(`execute_tool ${tool}`, between(random, 5, 800), toolOf(random, tool, history, failed), failed ? 2 : 0);
    } else {
      answer = prose(random, between(random, 180, 800));
      const calls = chatOf(random, { service, provider, model, sessionId, userId, history, answer });
      add(`chat ${model}`, between(random, 300, 9_000), calls, random() < 0.02 ? 2 : 0);
      history.push(textMessage('assistant', answer), textMessage('user', prose(random, between(random, 40, 200))));
      if (history.length > 5) history.splice(0, 2);
    }
  }
  const root: BenchSpan = {
    traceId,
    spanId: rootId,
    parentSpanId: undefined,
    name: `invoke_agent ${service}`,
    startNs,
    endNs: clockNs + 1_000_000n,
    status: 0,
    attributes: [
      ['gen_ai.operation.name', 'invoke_agent'],
      ['gen_ai.agent.name', service],
      ['gen_ai.conversation.id', sessionId],
      ['user.id', userId],
      ['lumina.tags', [pick(random, ['web', 'mobile', 'batch']), pick(random, ['eu', 'us', 'apac'])]],
      [
        'lumina.metadata',
        JSON.stringify({ plan: pick(random, ['free', 'pro']), release: `1.${between(random, 0, 30)}` }),
      ],
      ['http.route', pick(random, ['/ask', '/chat', '/agents/run'])],
      ['input.value', question],
      ['output.value', answer],
    ],
  };
  return [root, ...children];
}

interface Chat {
  service: string;
  provider: string;
  model: string;
  sessionId: string;
  userId: string;
  history: readonly object[];
  answer: string;
}

function chatOf(random: Random, chat: Chat): BenchSpan['attributes'] {
  const input = JSON.stringify(chat.history);
  const instructions = [{ type: 'text', content: INSTRUCTIONS.get(chat.service) }];
  const output = [{ ...textMessage('assistant', chat.answer), finish_reason: 'stop' }];
  const inputTokens = Math.round(input.length / 4) + 180;
  return [
    ['gen_ai.operation.name', 'chat'],
    ['gen_ai.provider.name', chat.provider],
    ['gen_ai.request.model', chat.model],
    ['gen_ai.response.model', chat.model],
    ['gen_ai.response.id', `resp_${hexDigits(random, 24)}`],
    ['gen_ai.request.temperature', between(random, 0, 10) / 10],
    ['gen_ai.request.max_tokens', 4_096],
    ['gen_ai.response.finish_reasons', ['stop']],
    ['gen_ai.usage.input_tokens', inputTokens],
    ['gen_ai.usage.output_tokens', Math.round(chat.answer.length / 4)],
    ['gen_ai.usage.cache_read.input_tokens', random() < 0.4 ? Math.floor(inputTokens / 2) : 0],
    ['gen_ai.conversation.id', chat.sessionId],
    ['user.id', chat.userId],
    ['server.address', `api.${chat.provider}.com`],
    ['gen_ai.system_instructions', JSON.stringify(instructions)],
    ['gen_ai.input.messages', input],
    ['gen_ai.output.messages', JSON.stringify(output)],
  ];
}

function toolOf(random: Random, tool: string, history: object[], failed: boolean): BenchSpan['attributes'] {
  const id = `call_${hexDigits(random, 20)}`;
  const args = { id: between(random, 1_000, 999_999), query: prose(random, 60), limit: between(random, 1, 50) };
  const rows = Array.from({ length: between(random, 3, 14) }, () => ({
    id: between(random, 1_000, 99_999),
    state: pick(random, ['open', 'paid', 'sent']),
    note: prose(random, between(random, 40, 160)),
  }));
  history.push({
    role: 'tool',
    parts: [{ type: 'tool_call_response', id, response: JSON.stringify(rows).slice(0, 600) }],
  });
  return [
    ['gen_ai.operation.name', 'execute_tool'],
    ['gen_ai.tool.name', tool],
    ['gen_ai.tool.type', 'function'],
    ['gen_ai.tool.call.id', id],
    ['gen_ai.tool.call.arguments', JSON.stringify(args)],
    ['gen_ai.tool.call.result', JSON.stringify(rows)],
    ...(failed ? ([['error.type', 'TimeoutError']] as Array<[string, string]>) : []),
  ];
}

function retrievalOf(random: Random, question: string): BenchSpan['attributes'] {
  const documents = Array.from({ length: between(random, 3, 6) }, () => ({
    id: `doc-${hexDigits(random, 8)}`,
    score: Number(random().toFixed(4)),
    content: prose(random, between(random, 200, 500)),
  }));
  return [
    ['gen_ai.operation.name', 'retrieval'],
    ['gen_ai.data_source.id', 'handbook'],
    ['gen_ai.retrieval.query.text', question],
    ['gen_ai.retrieval.documents', JSON.stringify(documents)],
  ];
}

// ── protobuf (opentelemetry-proto 1.x) ──────────────────────────────────────────────────────────────────────────────

class Writer {
  #bytes = Buffer.allocUnsafe(256);
  #length = 0;

  finish(): Buffer {
    return Buffer.from(this.#bytes.subarray(0, this.#length));
  }

  varint(value: number): void {
    this.#reserve(10);
    let rest = value;
    while (rest > 127) {
      this.#bytes[this.#length++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    this.#bytes[this.#length++] = rest;
  }

  bytesField(field: number, bytes: Uint8Array): void {
    this.varint(field * 8 + 2);
    this.varint(bytes.length);
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  text(field: number, text: string): void {
    this.bytesField(field, Buffer.from(text, 'utf8'));
  }

  fixed64(field: number, value: bigint): void {
    this.varint(field * 8 + 1);
    this.#reserve(8);
    this.#length = this.#bytes.writeBigUInt64LE(value, this.#length);
  }

  double(field: number, value: number): void {
    this.varint(field * 8 + 1);
    this.#reserve(8);
    this.#length = this.#bytes.writeDoubleLE(value, this.#length);
  }

  number(field: number, value: number): void {
    this.varint(field * 8);
    this.varint(value);
  }

  message(field: number, write: (inner: Writer) => void): void {
    const inner = new Writer();
    write(inner);
    this.bytesField(field, inner.finish());
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe((this.#length + bytes) * 2);
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}

function writeAttribute(writer: Writer, field: number, key: string, value: string | number | string[]): void {
  writer.message(field, (pair) => {
    pair.text(1, key);
    pair.message(2, (any) => writeValue(any, value));
  });
}

function writeValue(writer: Writer, value: string | number | string[]): void {
  if (typeof value === 'string') writer.text(1, value);
  else if (Array.isArray(value)) {
    writer.message(5, (list) => {
      for (const item of value) list.message(1, (any) => writeValue(any, item));
    });
  } else if (Number.isInteger(value)) writer.number(3, value);
  else writer.double(4, value);
}

/** An ExportTraceServiceRequest, one resource and one scope. */
export function encodeRequest({ service, spans }: BenchRequest): Buffer {
  const request = new Writer();
  request.message(1, (resourceSpans) => {
    resourceSpans.message(1, (resource) => {
      writeAttribute(resource, 1, 'service.name', service);
      writeAttribute(resource, 1, 'deployment.environment.name', 'production');
      writeAttribute(resource, 1, 'telemetry.sdk.language', 'nodejs');
    });
    resourceSpans.message(2, (scopeSpans) => {
      scopeSpans.message(1, (scope) => {
        scope.text(1, '@opentelemetry/instrumentation-openai');
        scope.text(2, '0.9.0');
      });
      for (const span of spans) scopeSpans.message(2, (inner) => writeSpan(inner, span));
    });
  });
  return request.finish();
}

function writeSpan(writer: Writer, span: BenchSpan): void {
  writer.bytesField(1, Buffer.from(span.traceId, 'hex'));
  writer.bytesField(2, Buffer.from(span.spanId, 'hex'));
  if (span.parentSpanId !== undefined) writer.bytesField(4, Buffer.from(span.parentSpanId, 'hex'));
  writer.text(5, span.name);
  writer.number(6, 3);
  writer.fixed64(7, span.startNs);
  writer.fixed64(8, span.endNs);
  for (const [key, value] of span.attributes) writeAttribute(writer, 9, key, value);
  if (span.status !== 0) writer.message(15, (status) => status.number(3, span.status));
}
