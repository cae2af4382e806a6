// What was said: messages in order, tool calls as folded cards, pictures by link, and the same as JSON.
import { whyNoPrompt } from '@lumatrace/telemetry/conventions-capture.ts';
import type { Message, Part } from '@lumatrace/telemetry/messages.ts';
import type { Attributes } from '@lumatrace/telemetry/span.ts';
import { Braces, ChevronRight, FileText, ImageIcon, MessagesSquare, Server, Wrench } from 'lucide-react';
import { useState, type ReactNode } from 'react';
import type { SpanItem } from '../../api/trace.ts';
import { CopyButton } from '../../elements/copy.tsx';
import { JsonView } from '../../elements/json-view.tsx';
import { Choice } from '../../elements/choice.tsx';
import { Empty } from '../../elements/notice.tsx';
import { bytes, plural } from '../../format/number.ts';
import { originsOf, originText } from './origins.ts';

const FORMS = [
  ['read', 'Read'],
  ['json', 'JSON'],
] as const;
const MOST_AT_ONCE = 50;

export function MessagesTab({ span }: { span: SpanItem }) {
  const [form, setForm] = useState<'read' | 'json'>('read');
  const { messages } = span;
  const instructions = messages?.systemInstructions ?? [];
  const input = messages?.input ?? [];
  const output = messages?.output ?? [];
  if (instructions.length + input.length + output.length === 0) return <NoMessages span={span} />;
  return (
    <div className="flex flex-col gap-3">
      <div className="flex items-center justify-between gap-2">
        <span className="text-xs text-ink-3">
          {plural(input.length, 'message')} in, {output.length} out
        </span>
        <Choice label="Form" value={form} options={FORMS} onChange={(next) => setForm(next)} />
      </div>
      <ReadFrom mapped={span.mapped_from ?? {}} />
      {input.length === 0 && <WhyNoPrompt span={span} />}
      {form === 'json' ? (
        <JsonView value={messages} openDepth={3} />
      ) : (
        <>
          {instructions.length > 0 && <MessageCard message={{ role: 'system', parts: instructions }} />}
          <MessageList messages={input} />
          {output.length > 0 && (
            <div className="flex items-center gap-2 text-xs text-ink-3">
              <span className="h-px flex-1 bg-line" /> answer <span className="h-px flex-1 bg-line" />
            </div>
          )}
          <MessageList messages={output} />
          <Tools definitions={messages?.toolDefinitions ?? []} />
        </>
      )}
    </div>
  );
}

/** What messages are called for people, in the order in which they are told. */
const SAID: readonly (readonly [field: string, word: string])[] = [
  ['input', 'prompt'],
  ['output', 'answer'],
  ['systemInstructions', 'instructions'],
  ['toolDefinitions', 'tools'],
];

/** A quiet line: which key each part of the conversation was read from. */
function ReadFrom({ mapped }: { mapped: Readonly<Record<string, string>> }) {
  const told = SAID.flatMap(([field, word]) => {
    const from = mapped[field];
    return from === undefined ? [] : [{ word, places: originsOf({ [field]: from }).map(originText) }];
  });
  if (told.length === 0) return null;
  return (
    <p className="flex flex-wrap gap-x-3 text-2xs text-ink-3">
      {told.map(({ word, places }) => (
        <span key={word} className="min-w-0 break-words" title={`The ${word} was read from ${places.join(' and ')}`}>
          {word} from <code className="font-mono">{places.join(', ')}</code>
        </span>
      ))}
    </p>
  );
}

// a long conversation is read from its end: the last messages first in sight, earlier ones on demand
function MessageList({ messages }: { messages: Message[] }) {
  const [all, setAll] = useState(false);
  const hidden = all ? 0 : Math.max(0, messages.length - MOST_AT_ONCE);
  return (
    <>
      {hidden > 0 && (
        <button type="button" className="text-accent hover:underline" onClick={() => setAll(true)}>
          {plural(hidden, 'earlier message')}
        </button>
      )}
      {messages.slice(hidden).map((message, index) => (
        <MessageCard key={index} message={message} />
      ))}
    </>
  );
}

const ROLE_LOOKS: Record<string, string> = {
  system: 'border-l-line-control',
  user: 'border-l-accent',
  assistant: 'border-l-series-1',
  tool: 'border-l-series-5',
};

/** Ways for an answer to end that need no mention; `length` and `content_filter` do. */
const ENDED_WELL: ReadonlySet<string> = new Set([
  'stop',
  'end_turn',
  'tool_calls',
  'tool_call',
  'tool_use',
  'function_call',
  'STOP',
]);

function MessageCard({ message }: { message: Message }) {
  const text = textOf(message.parts);
  return (
    <article className={`rounded-md border border-l-3 ${ROLE_LOOKS[message.role] ?? ''}`}>
      <header className="flex min-h-7 items-center gap-2 pr-1 pl-3 text-xs text-ink-3">
        <span className="font-medium text-ink-2">{message.role}</span>
        {message.name && <span>{message.name}</span>}
        {message.finish_reason && !ENDED_WELL.has(message.finish_reason) && (
          <span className="rounded-sm bg-warn-wash px-1 text-warn">{message.finish_reason}</span>
        )}
        <span className="flex-1" />
        {text !== '' && <CopyButton text={text} label="Copy the text" className="!h-6 !w-6" />}
      </header>
      <div className="flex flex-col gap-2 px-3 pb-2.5">
        {message.parts.length === 0 && <span className="text-ink-3">empty</span>}
        {message.parts.map((part, index) => (
          <PartView key={index} part={part} />
        ))}
      </div>
    </article>
  );
}

function textOf(parts: readonly Part[]): string {
  return parts.flatMap((part) => (part.type === 'text' ? [part.content] : [])).join('\n');
}

function PartView({ part }: { part: Part }): ReactNode {
  switch (part.type) {
    case 'text':
      return <LongText text={part.content} />;
    case 'reasoning':
      return (
        <Fold icon={null} title="reasoning" note={plural(part.content.length, 'character')}>
          <p className="whitespace-pre-wrap break-words text-ink-2">{part.content}</p>
        </Fold>
      );
    case 'tool_call':
      return (
        <Fold icon={<Wrench size={13} />} title={part.name || 'tool call'} note="called">
          <JsonView value={part.arguments ?? {}} openDepth={3} />
        </Fold>
      );
    case 'tool_call_response':
      return (
        <Fold icon={<Wrench size={13} />} title="answer of the tool" note={part.id ?? ''} open>
          {typeof part.response === 'string' ? (
            <LongText text={part.response} />
          ) : (
            <JsonView value={part.response} openDepth={2} />
          )}
        </Fold>
      );
    case 'server_tool_call':
      return (
        <Fold icon={<Server size={13} />} title={part.name || 'tool call'} note="called by the provider">
          <JsonView value={part.arguments ?? {}} openDepth={3} />
        </Fold>
      );
    case 'server_tool_call_response':
      return (
        <Fold icon={<Server size={13} />} title="answer of the provider's tool" note={part.id ?? ''}>
          <JsonView value={part.response} openDepth={2} />
        </Fold>
      );
    case 'uri':
      return (
        <MediaLine icon={<ImageIcon size={13} />} what={part.mime_type ?? part.modality ?? 'file'} where={part.uri} />
      );
    case 'file':
      return (
        <MediaLine
          icon={<FileText size={13} />}
          what={part.mime_type ?? part.modality ?? 'file'}
          where={part.file_id}
        />
      );
    case 'blob':
      return (
        <MediaLine
          icon={<ImageIcon size={13} />}
          what={part.mime_type ?? part.modality ?? 'data'}
          where={`${bytes(Math.floor((part.content.length * 3) / 4))} in place`}
        />
      );
    default:
      if (part.name === 'document') return <Document value={part.value} />;
      return (
        <Fold icon={<Braces size={13} />} title={part.name || 'part'} note="">
          <JsonView value={part.value} openDepth={2} />
        </Fold>
      );
  }
}

const LONG_TEXT = 4_000;

function LongText({ text }: { text: string }) {
  const [whole, setWhole] = useState(false);
  const cut = !whole && text.length > LONG_TEXT;
  return (
    <p className="whitespace-pre-wrap break-words">
      {cut ? text.slice(0, LONG_TEXT) : text}
      {cut && (
        <button type="button" className="ml-1 text-accent hover:underline" onClick={() => setWhole(true)}>
          … {plural(text.length - LONG_TEXT, 'more character')}
        </button>
      )}
    </p>
  );
}

// links are shown, never loaded: a picture would be a request to somewhere else
function MediaLine({ icon, what, where }: { icon: ReactNode; what: string; where: string }) {
  const isLink = /^https?:\/\//.test(where);
  return (
    <p className="flex min-w-0 items-center gap-2 text-ink-2">
      {icon}
      <span>{what}</span>
      {isLink ? (
        <a href={where} rel="noreferrer noopener" target="_blank" className="truncate text-accent underline">
          {where}
        </a>
      ) : (
        <span className="truncate">{where}</span>
      )}
    </p>
  );
}

interface FoldProps {
  icon: ReactNode;
  title: string;
  note: string;
  open?: boolean;
  children: ReactNode;
}

function Fold({ icon, title, note, open = false, children }: FoldProps) {
  return (
    <details open={open} className="group rounded-md border bg-sunken">
      <summary className="flex h-8 list-none items-center gap-2 px-2.5 marker:hidden">
        <ChevronRight size={13} className="text-ink-3 group-open:rotate-90" aria-hidden />
        {icon}
        <code className="font-mono text-xs font-medium">{title}</code>
        <span className="min-w-0 truncate text-xs text-ink-3">{note}</span>
      </summary>
      <div className="border-t bg-surface p-2.5">{children}</div>
    </details>
  );
}

function Tools({ definitions }: { definitions: readonly unknown[] }) {
  if (definitions.length === 0) return null;
  return (
    <Fold icon={<Wrench size={13} />} title={plural(definitions.length, 'tool')} note="offered to the model">
      <JsonView value={definitions} openDepth={1} />
    </Fold>
  );
}

/** A document that a search found: its score, and its text where it came along. */
function Document({ value }: { value: unknown }) {
  const document = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  const { id, score, content } = document;
  const name = typeof id === 'string' || typeof id === 'number' ? String(id) : 'document';
  const note = typeof score === 'number' ? `score ${score}` : '';
  return (
    <Fold icon={<FileText size={13} />} title={name} note={note} open={typeof content === 'string'}>
      {typeof content === 'string' ? <LongText text={content} /> : <JsonView value={value} openDepth={2} />}
    </Fold>
  );
}

function NoMessages({ span }: { span: SpanItem }) {
  if (span.model === null && span.operation === null) {
    return (
      <Empty icon={<MessagesSquare size={24} />} title="No messages on this span">
        <p>Only calls of models and tools carry messages. Its attributes hold what was sent.</p>
      </Empty>
    );
  }
  return (
    <div className="flex flex-col gap-3">
      <Empty icon={<MessagesSquare size={24} />} title="The call came without its text">
        <p>Its emitter sent neither prompt nor answer with this span.</p>
      </Empty>
      <WhyNoPrompt span={span} />
    </div>
  );
}

const SHOWN_KEYS = 6;

/** "Why is my prompt empty?": who sent the span, what was looked for, and what to set. */
function WhyNoPrompt({ span }: { span: SpanItem }) {
  const scope = span.scope ?? { name: '', version: '' };
  const { capture, lookedFor, empty, dropped } = whyNoPrompt({
    scopeName: scope.name,
    operation: span.operation,
    attributes: (span.attributes ?? {}) as Attributes,
    dropped: span.dropped.attributes,
  });
  return (
    <section
      aria-label="Why is the prompt empty?"
      className="flex flex-col gap-2 rounded-md border bg-sunken p-3 text-xs"
    >
      <h3 className="font-medium">Why is the prompt empty?</h3>
      <p>
        The span was sent by <code className="font-mono">{scope.name === '' ? 'an unnamed scope' : scope.name}</code>
        {scope.version !== '' && ` ${scope.version}`}.
        {capture.setting !== undefined && ` To send prompts with ${capture.emitter}, set`}
      </p>
      {capture.setting !== undefined && (
        <p className="flex items-start gap-1">
          <code className="min-w-0 flex-1 rounded-sm bg-surface px-2 py-1 font-mono break-words">
            {capture.setting}
          </code>
          <CopyButton text={capture.setting} label="Copy the setting" className="!h-6 !w-6" />
        </p>
      )}
      {capture.note !== undefined && <p className="text-ink-2">{capture.note}</p>}
      {dropped > 0 && (
        <p className="text-warn">
          {plural(dropped, 'attribute')} of this span did not arrive, the prompt may be among them. SDKs keep 128 by
          default: raise OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT.
        </p>
      )}
      {empty.length > 0 && (
        <p className="text-ink-2">
          Sent without anything in it: <code className="font-mono">{empty.join(', ')}</code>
        </p>
      )}
      <details className="text-ink-2">
        <summary className="cursor-default">
          Looked for <code className="font-mono">{lookedFor.slice(0, SHOWN_KEYS).join(', ')}</code>
          {lookedFor.length > SHOWN_KEYS && ` and ${lookedFor.length - SHOWN_KEYS} more keys`}, span events and log
          records
        </summary>
        <p className="mt-1 font-mono break-words text-ink-3">{lookedFor.join(', ')}</p>
      </details>
    </section>
  );
}
