// One price of the workspace: which calls it is for, from when to when, and what each unit costs.
import { Plus, X } from 'lucide-react';
import { useState, type FormEvent } from 'react';
import { MODEL_RULES, type ModelRule, type Price, type PriceOverride } from '../../api/prices.ts';
import { Button, IconButton } from '../../elements/button.tsx';
import { SelectField, TextField } from '../../elements/field.tsx';
import { ProblemNotice } from '../../elements/notice.tsx';

/** Price keys of the table and what they mean, the usual ones first. */
const UNITS = [
  ['input_mtok', 'input, a million tokens'],
  ['output_mtok', 'output, a million tokens'],
  ['cache_read_mtok', 'input read from cache, a million'],
  ['cache_write_mtok', 'input written to cache, a million'],
  ['output_reasoning_mtok', 'reasoning, a million tokens'],
  ['input_audio_mtok', 'audio in, a million tokens'],
  ['output_audio_mtok', 'audio out, a million tokens'],
  ['input_image_mtok', 'images in, a million tokens'],
  ['output_image_mtok', 'images out, a million tokens'],
  ['input_video_mtok', 'video in, a million tokens'],
  ['requests_kcount', 'requests, a thousand'],
  ['web_searches_kcount', 'web searches, a thousand'],
  ['audio_hours', 'audio, an hour'],
] as const;

/** A price key in words. */
export function unitWords(key: string): string {
  return UNITS.find(([unit]) => unit === key)?.[1] ?? key.replaceAll('_', ' ');
}

const AMOUNT = '\\d{1,12}(\\.\\d{1,12})?';

interface OverrideFormProps {
  /** Absent: a new one. */
  override: PriceOverride | undefined;
  error: Error | null;
  isSaving: boolean;
  onSave(override: PriceOverride): void;
  onClose(): void;
}

interface Line {
  unit: string;
  amount: string;
  /** Kept as they are: this form changes the base price only. */
  tiers: [number, string][] | undefined;
}

export function OverrideForm({ override, error, isSaving, onSave, onClose }: OverrideFormProps) {
  const [rule, setRule] = useState<ModelRule>(
    () => MODEL_RULES.find(([kind]) => override?.model[kind])?.[0] ?? 'equals',
  );
  const [text, setText] = useState(override?.model[rule] ?? '');
  const [more, setMore] = useState({
    provider: override?.provider ?? '',
    serviceTier: override?.serviceTier ?? '',
    from: override?.from ?? '',
    until: override?.until ?? '',
    note: override?.note ?? '',
  });
  const [lines, setLines] = useState<Line[]>(() => linesOf(override));
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    const optional = Object.entries(more).filter(([, value]) => value.trim() !== '');
    onSave({
      id: override?.id ?? crypto.randomUUID(),
      model: { [rule]: text.trim() },
      ...Object.fromEntries(optional.map(([key, value]) => [key, value.trim()])),
      prices: Object.fromEntries(
        lines.map(({ unit, amount, tiers }): [string, Price] => [unit, tiers ? { base: amount, tiers } : amount]),
      ),
    });
  };
  const field = (name: keyof typeof more) => ({
    value: more[name],
    onChange: (event: { target: { value: string } }) => setMore({ ...more, [name]: event.target.value }),
  });
  return (
    <form className="flex flex-col gap-4" onSubmit={submit}>
      <div className="flex flex-wrap gap-3">
        <div className="w-40">
          <SelectField label="The model" value={rule} onChange={(event) => setRule(event.target.value as ModelRule)}>
            {MODEL_RULES.map(([kind, words]) => (
              <option key={kind} value={kind}>
                {words}
              </option>
            ))}
          </SelectField>
        </div>
        <div className="min-w-48 flex-1">
          <TextField
            label="Name or pattern"
            required
            maxLength={200}
            placeholder="my-deployment"
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
        </div>
      </div>
      <div className="grid gap-3 sm:grid-cols-2">
        <TextField label="Provider" placeholder="any" maxLength={200} {...field('provider')} />
        <TextField
          label="Service tier"
          placeholder="calls of no special tier"
          hint="batch, flex, priority, …; * for every tier"
          maxLength={200}
          {...field('serviceTier')}
        />
        <TextField
          label="Valid from"
          placeholder="2026-11-01"
          hint="A day (UTC) or a time; inclusive"
          {...field('from')}
        />
        <TextField label="Valid until" placeholder="open" hint="Exclusive" {...field('until')} />
      </div>
      <fieldset className="flex min-w-0 flex-col gap-2">
        <legend className="mb-1 text-xs font-medium text-ink-2">
          Prices in US dollars; what has none is not charged
        </legend>
        {lines.map((line, at) => (
          <div key={line.unit} className="flex items-center gap-2">
            <select
              aria-label={`Unit ${at + 1}`}
              className="h-8 min-w-0 flex-1 rounded-md border border-line-control bg-surface px-2 text-sm"
              value={line.unit}
              onChange={(event) => setLines(lines.with(at, { ...line, unit: event.target.value }))}
            >
              {choicesFor(line.unit, lines).map(([unit, words]) => (
                <option key={unit} value={unit}>
                  {words}
                </option>
              ))}
            </select>
            <input
              aria-label={`Price of unit ${at + 1}`}
              className="h-8 w-20 rounded-md sm:w-36 border border-line-control bg-surface px-2 text-right text-sm"
              inputMode="decimal"
              required
              pattern={AMOUNT}
              title="A decimal such as 2.50, at most 12 places"
              placeholder="2.50"
              value={line.amount}
              onChange={(event) => setLines(lines.with(at, { ...line, amount: event.target.value }))}
            />
            <IconButton
              label={`Remove unit ${at + 1}`}
              disabled={lines.length === 1}
              onClick={() => setLines(lines.toSpliced(at, 1))}
            >
              <X size={14} aria-hidden />
            </IconButton>
          </div>
        ))}
        <Button
          className="self-start"
          icon={<Plus size={14} aria-hidden />}
          disabled={lines.length >= UNITS.length}
          onClick={() => setLines([...lines, { unit: unusedUnit(lines), amount: '', tiers: undefined }])}
        >
          Another unit
        </Button>
      </fieldset>
      <TextField label="Note" maxLength={500} {...field('note')} />
      {error && <ProblemNotice error={error} />}
      <div className="flex justify-end gap-2">
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" look="primary" disabled={isSaving}>
          Save
        </Button>
      </div>
    </form>
  );
}

function linesOf(override: PriceOverride | undefined): Line[] {
  const prices = Object.entries(override?.prices ?? { input_mtok: '', output_mtok: '' });
  return prices.map(([unit, price]) =>
    typeof price === 'string'
      ? { unit, amount: price, tiers: undefined }
      : { unit, amount: price.base, tiers: price.tiers },
  );
}

/** Units that no other line has; one that is not offered here stays choosable where it is. */
function choicesFor(unit: string, lines: readonly Line[]): (readonly [string, string])[] {
  const others = new Set(lines.map((line) => line.unit).filter((other) => other !== unit));
  const offered = UNITS.filter(([key]) => !others.has(key));
  return offered.some(([key]) => key === unit) ? offered : [[unit, unit.replaceAll('_', ' ')], ...offered];
}

function unusedUnit(lines: readonly Line[]): string {
  return UNITS.find(([key]) => !lines.some(({ unit }) => unit === key))?.[0] ?? 'input_mtok';
}
