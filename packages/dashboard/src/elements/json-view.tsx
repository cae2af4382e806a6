// JSON to read: folded where it is deep, long texts cut until asked for, each branch drawn only when it is open.
import { ChevronRight } from 'lucide-react';
import { useState } from 'react';

const LONG_TEXT = 600;
const MANY_CHILDREN = 100;

export function JsonView({ value, openDepth = 1 }: { value: unknown; openDepth?: number }) {
  return (
    <div className="font-mono text-xs leading-5 break-words">
      <Node value={value} depth={0} openDepth={openDepth} />
    </div>
  );
}

interface NodeProps {
  name?: string;
  value: unknown;
  depth: number;
  openDepth: number;
}

function Node({ name, value, depth, openDepth }: NodeProps) {
  if (typeof value === 'object' && value !== null) return <Branch {...{ name, value, depth, openDepth }} />;
  return (
    <div className="pl-4">
      <Name name={name} />
      <Leaf value={value} />
    </div>
  );
}

function Branch({
  name,
  value,
  depth,
  openDepth,
}: Omit<NodeProps, 'name'> & { name: string | undefined; value: object }) {
  const [open, setOpen] = useState(depth < openDepth);
  const [all, setAll] = useState(false);
  const entries: [string, unknown][] = Array.isArray(value)
    ? value.map((item, index) => [String(index), item])
    : Object.entries(value);
  const [left, right] = Array.isArray(value) ? '[]' : '{}';
  const shown = all ? entries : entries.slice(0, MANY_CHILDREN);
  if (entries.length === 0) {
    return (
      <div className="pl-4">
        <Name name={name} />
        {left}
        {right}
      </div>
    );
  }
  return (
    <div>
      <button
        type="button"
        aria-expanded={open}
        onClick={() => setOpen(!open)}
        className="min-h-6 min-w-6 text-left hover:text-accent"
      >
        <ChevronRight size={12} className={`inline -translate-y-px ${open ? 'rotate-90' : ''}`} />
        <span className="ml-1">
          <Name name={name} />
          <span className="text-ink-3">{open ? left : `${left} ${entries.length} ${right}`}</span>
        </span>
      </button>
      {open && (
        <div className="ml-1.5 border-l pl-2.5">
          {shown.map(([key, item]) => (
            <Node key={key} name={key} value={item} depth={depth + 1} openDepth={openDepth} />
          ))}
          {shown.length < entries.length && (
            <button type="button" className="ml-4 text-accent hover:underline" onClick={() => setAll(true)}>
              {entries.length - shown.length} more
            </button>
          )}
        </div>
      )}
    </div>
  );
}

function Name({ name }: { name?: string | undefined }) {
  return name === undefined ? null : <span className="text-ink-2">{name}: </span>;
}

function Leaf({ value }: { value: unknown }) {
  const [whole, setWhole] = useState(false);
  if (typeof value !== 'string') return <span className="text-series-6">{String(value)}</span>;
  const cut = !whole && value.length > LONG_TEXT;
  return (
    <span className="whitespace-pre-wrap text-ink">
      {cut ? `${value.slice(0, LONG_TEXT)}…` : value}
      {cut && (
        <button type="button" className="ml-1 text-accent hover:underline" onClick={() => setWhole(true)}>
          {value.length - LONG_TEXT} more characters
        </button>
      )}
    </span>
  );
}
