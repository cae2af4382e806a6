// Every key with its dates on a year's strip: what signs now, what only checks old things, and what comes next.
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { keyInventoryQuery } from '../../api/photos.ts';
import { ProblemNotice } from '../../elements/notice.tsx';
import { Card, Page } from '../../elements/page.tsx';
import { SkeletonRows } from '../../elements/skeleton.tsx';
import { plural } from '../../format/number.ts';
import { day } from '../../format/time.ts';
import { PhotoTabs } from './photo-tabs.tsx';
import {
  appointments,
  barOf,
  isIn,
  placeOf,
  yearAround,
  type Appointment,
  type KeyShown,
  type Year,
} from './rotation.ts';

const KINDS = new Map([
  ['c2pa-root', 'Root of the certificates'],
  ['c2pa-issuing-ca', 'Issuing certificate'],
  ['c2pa-leaf', 'Key for credentials'],
  ['c2pa-brought', 'Key for credentials, your own'],
  ['registration', 'Key for registrations'],
  ['time-stamping', 'Key for time stamps'],
  ['log', 'Key of the transparency log'],
  ['token', 'Key for access tokens'],
  ['secret', 'Secret of the installation'],
  ['tenant-data', 'Key of the workspace’s data'],
  ['watermark', 'Key of the watermark'],
]);
const STATES: Record<KeyShown['state'], { look: string; bar: string; word: string }> = {
  next: { look: 'text-ink-2', bar: 'bg-line-control', word: 'comes next' },
  active: { look: 'text-ok', bar: 'bg-accent', word: 'in use' },
  due: { look: 'text-warn', bar: 'bg-warn', word: 'due' },
  verifying: { look: 'text-ink-2', bar: 'bg-line-control', word: 'only checks old things' },
  ended: { look: 'text-ink-3', bar: 'bg-line-control', word: 'ended' },
  revoked: { look: 'text-error', bar: 'bg-error', word: 'revoked' },
};

export function PhotoKeysPage() {
  const inventory = useQuery(keyInventoryQuery);
  const [nowMs] = useState(() => Date.now());
  const keys = inventory.data?.data;
  return (
    <Page title="Keys" actions={<PhotoTabs />}>
      <div className="mx-auto flex max-w-6xl flex-col gap-4">
        {inventory.error && (
          <ProblemNotice
            error={inventory.error}
            retry={() => void inventory.refetch()}
            title="The keys could not be read."
          />
        )}
        {inventory.isPending && !inventory.error && <SkeletonRows rows={10} />}
        {keys && <Next coming={appointments(keys)} nowMs={nowMs} />}
        {keys && <Strip keys={keys} year={yearAround(nowMs)} nowMs={nowMs} />}
      </div>
    </Page>
  );
}

const titleOf = ({ kind }: KeyShown): string => KINDS.get(kind) ?? kind;

const MAX_SHOWN = 5;
const DAY_MS = 86_400_000;
const inDays = (ms: number): string =>
  ms < 0 ? `since ${plural(Math.floor(-ms / DAY_MS), 'day')}` : `in ${plural(Math.ceil(ms / DAY_MS), 'day')}`;

function Next({ coming, nowMs }: { coming: readonly Appointment[]; nowMs: number }) {
  return (
    <Card title="What comes next" note="keys that rotate by themselves do so when they are next used">
      {coming.length === 0 && <p className="text-ink-2">No key in use has an end or a date of rotation.</p>}
      <ol className="flex flex-col gap-1.5">
        {coming.slice(0, MAX_SHOWN).map(({ key, at, what }) => (
          <li key={`${key.kind} ${key.id}`} className="flex flex-wrap gap-x-2">
            <span className={Date.parse(at) <= nowMs ? 'font-medium text-warn' : 'font-medium'}>{day(at)}</span>
            <span>
              {titleOf(key)} {what === 'ends' ? 'ends' : Date.parse(at) <= nowMs ? 'is due to rotate' : 'rotates'}
            </span>
            <span className="text-ink-3">{inDays(Date.parse(at) - nowMs)}</span>
          </li>
        ))}
      </ol>
    </Card>
  );
}

interface StripProps {
  keys: readonly KeyShown[];
  year: Year;
  nowMs: number;
}

function Strip({ keys, year, nowMs }: StripProps) {
  return (
    <Card title="Rotation calendar" note={`${plural(keys.length, 'key')}; a diamond is a rotation`} flush>
      <div className="scroll-quiet overflow-x-auto" role="region" aria-label="Rotation calendar" tabIndex={0}>
        <table className="w-full min-w-[860px] border-collapse">
          <thead>
            <tr className="border-b text-left text-xs font-medium text-ink-3">
              <th scope="col" className="h-8 w-[210px] pl-4 font-medium">
                Key
              </th>
              <th scope="col" className="w-[150px] font-medium">
                State
              </th>
              <th scope="col" className="pr-4 font-medium">
                <span className="sr-only">Year</span>
                <span aria-hidden className="grid grid-cols-12">
                  {year.months.map((ms) => (
                    <span key={ms} className="border-l pl-1">
                      {monthOf(ms)}
                    </span>
                  ))}
                </span>
              </th>
            </tr>
          </thead>
          <tbody>
            {keys.map((key) => (
              <KeyRow key={`${key.kind} ${key.id}`} shown={key} year={year} nowMs={nowMs} />
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}

const MONTH = new Intl.DateTimeFormat('en', { month: 'short', timeZone: 'UTC' });
const monthOf = (ms: number): string => MONTH.format(ms);
const percent = (share: number): string => `${100 * share}%`;

function KeyRow({ shown, year, nowMs }: { shown: KeyShown; year: Year; nowMs: number }) {
  const bar = barOf(year, shown);
  const { look, bar: colour, word } = STATES[shown.state];
  const rotateMs = shown.rotateAt === null ? null : Date.parse(shown.rotateAt);
  const told = datesOf(shown);
  return (
    <tr className="border-b last:border-0">
      <th scope="row" className="max-w-[210px] py-1 pr-2 pl-4 text-left font-normal">
        <span className="block truncate">{titleOf(shown)}</span>
        <code className="block truncate font-mono text-xs text-ink-3" title={shown.id}>
          {shown.id}
        </code>
      </th>
      <td className={`pr-2 ${look}`}>{word}</td>
      <td className="pr-4" title={told}>
        <span className="sr-only">{told}</span>
        <span aria-hidden className="relative block h-6">
          {bar && (
            <span
              data-bar={shown.kind}
              className={`absolute top-2 h-2 rounded-xs ${colour}`}
              style={{ left: percent(bar.from), width: `max(3px, ${percent(bar.to - bar.from)})` }}
            />
          )}
          {rotateMs !== null && isIn(year, rotateMs) && (
            <span
              className="absolute top-[7px] h-2.5 w-2.5 -translate-x-1/2 rotate-45 border border-surface bg-ink"
              style={{ left: percent(placeOf(year, rotateMs)) }}
            />
          )}
          <span
            className="absolute inset-y-0 border-l border-dashed border-ink-3"
            style={{ left: percent(placeOf(year, nowMs)) }}
          />
        </span>
      </td>
    </tr>
  );
}

function datesOf({ createdAt, rotateAt, endsAt, revokedAt }: KeyShown): string {
  const parts = [`Made ${day(createdAt)}`];
  if (rotateAt !== null) parts.push(`rotates ${day(rotateAt)}`);
  if (revokedAt !== null) parts.push(`revoked ${day(revokedAt)}`);
  parts.push(endsAt === null ? 'nothing ends it' : `ends ${day(endsAt)}`);
  return `${parts.join(', ')}.`;
}
