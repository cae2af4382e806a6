// What the rules, saved or not, do to a text or to a stored span: before and after, marked, with counts.
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { tryQuery, type RedactionSet, type Trial } from '../../api/redaction.ts';
import { fetchJson } from '../../api/client.ts';
import type { Page, TraceItem } from '../../api/telemetry.ts';
import { Choice } from '../../elements/choice.tsx';
import { INPUT, SelectField } from '../../elements/field.tsx';
import { Tag, useNow } from '../../elements/figures.tsx';
import { ProblemNotice } from '../../elements/notice.tsx';
import { Card } from '../../elements/page.tsx';
import { ago } from '../../format/time.ts';
import { useLater } from './redaction-later.ts';
import { piecesOf, type Piece } from './redaction-pieces.ts';

const SAMPLE = `Hi, I am Ada (ada@example.org, +49 30 901820).
Charge 4111 1111 1111 1111 and refund to DE89 3704 0044 0532 0130 00.
Our key: sk-proj-a1B2c3D4e5F6g7H8i9J0k1L2`;
const RECENT = 20;
const SOURCES: readonly (readonly ['text' | 'span', string])[] = [
  ['text', 'Text'],
  ['span', 'Recent trace'],
];

export function Playground({ set, isChanged }: { set: RedactionSet; isChanged: boolean }) {
  const [source, setSource] = useState<'text' | 'span'>('text');
  const [text, setText] = useState(SAMPLE);
  const [traceId, setTraceId] = useState<string>();
  const recent = useQuery({
    queryKey: ['redaction-recent'],
    queryFn: ({ signal }) => fetchJson<Page<TraceItem>>('/api/traces', { query: { limit: RECENT }, signal }),
    enabled: source === 'span',
  });
  const chosen = traceId ?? recent.data?.data[0]?.trace_id;
  const laterText = useLater(text);
  const trial: Trial = source === 'span' && chosen !== undefined ? { traceId: chosen } : { text: laterText };
  const tried = useQuery({ ...tryQuery(set, trial), placeholderData: keepPreviousData });
  const now = useNow();
  return (
    <Card
      title="Playground"
      note={isChanged ? 'with the rules above as they are now, not saved yet' : 'with the rules in force'}
      actions={
        <Choice
          label="What to try the rules on"
          value={source}
          options={SOURCES}
          onChange={(next) => setSource(next)}
        />
      }
    >
      <div className="flex flex-col gap-4">
        {source === 'text' ? (
          <textarea
            aria-label="Text to try"
            className={`${INPUT} !h-28 py-2 font-mono text-xs`}
            spellCheck={false}
            maxLength={200_000}
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
        ) : (
          <SelectField label="Trace" value={chosen ?? ''} onChange={(event) => setTraceId(event.target.value)}>
            {(recent.data?.data ?? []).map((trace) => (
              <option key={trace.trace_id} value={trace.trace_id}>
                {trace.name}, {ago(trace.timestamp, now)}
              </option>
            ))}
          </SelectField>
        )}
        {source === 'span' && recent.data?.data.length === 0 && <p className="text-ink-3">No trace was stored yet.</p>}
        {tried.error && <ProblemNotice error={tried.error} />}
        {tried.data && !tried.error && <Sides before={shown(tried.data.before)} after={shown(tried.data.after)} />}
        <p className="flex flex-wrap items-center gap-2 text-sm text-ink-2" role="status">
          {tried.data && tried.data.hits.length === 0 && 'The rules find nothing here.'}
          {tried.data?.hits.map(({ ruleId, count }) => (
            <Tag key={ruleId}>{`${ruleId} × ${count}`}</Tag>
          ))}
        </p>
        {source === 'span' && (
          <p className="text-sm text-ink-3">
            What is stored went through the rules of its day: only what they left can be tried again.
          </p>
        )}
      </div>
    </Card>
  );
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value, undefined, 2);
}

function Sides({ before, after }: { before: string; after: string }) {
  const pieces = piecesOf(before, after);
  return (
    <div className="grid grid-cols-1 gap-3 md:grid-cols-2">
      <Side title="Before" pieces={pieces.before} look="bg-error-wash text-error" />
      <Side title="After" pieces={pieces.after} look="bg-ok-wash text-ok" />
    </div>
  );
}

function Side({ title, pieces, look }: { title: string; pieces: readonly Piece[]; look: string }) {
  return (
    <figure className="min-w-0">
      <figcaption className="pb-1 text-sm font-medium text-ink-2">{title}</figcaption>
      {/* it scrolls, so the keyboard must reach it */}
      <pre
        tabIndex={0}
        role="region"
        aria-label={title}
        className="max-h-96 overflow-auto rounded-md bg-sunken p-3 font-mono text-xs break-words whitespace-pre-wrap"
      >
        {pieces.map(({ text, ruleId }, i) =>
          ruleId === undefined ? (
            text
          ) : (
            <mark key={i} title={ruleId} className={`rounded-sm ${look}`}>
              {text}
            </mark>
          ),
        )}
      </pre>
    </figure>
  );
}
