// Copying: ids, keys and lines for the terminal.
import { Check, Copy } from 'lucide-react';
import { useEffect, useState } from 'react';
import { IconButton } from './button.tsx';

const SHOWN_MS = 1_500;

/** Copies text; says so for a moment. Falls back to a selection where the clipboard is closed (plain HTTP). */
function useCopy(): [boolean, (text: string) => void] {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return undefined;
    const timer = window.setTimeout(() => setCopied(false), SHOWN_MS);
    return () => window.clearTimeout(timer);
  }, [copied]);
  return [copied, (text) => void copyText(text).then(setCopied)];
}

async function copyText(text: string): Promise<boolean> {
  if (navigator.clipboard === undefined) return copyBySelection(text);
  return navigator.clipboard.writeText(text).then(
    () => true,
    () => copyBySelection(text),
  );
}

function copyBySelection(text: string): boolean {
  const area = document.createElement('textarea');
  area.value = text;
  area.setAttribute('aria-hidden', 'true');
  area.className = 'fixed top-0 left-0 opacity-0';
  (document.querySelector('[role=dialog]') ?? document.body).append(area);
  area.select();
  // The only way left without a secure context; deprecated, and in every browser.
  const done = document.execCommand('copy');
  area.remove();
  return done;
}

export function CopyButton({
  text,
  label = 'Copy',
  className = '',
}: {
  text: string;
  label?: string;
  className?: string;
}) {
  const [copied, copy] = useCopy();
  return (
    <IconButton
      label={copied ? 'Copied' : label}
      className={className}
      onClick={(event) => {
        event.stopPropagation();
        copy(text);
      }}
    >
      {copied ? <Check size={14} className="text-ok" /> : <Copy size={14} />}
    </IconButton>
  );
}

/** Lines for a terminal or a file, with one button that copies all of them. */
export function CopyBlock({ text, label }: { text: string; label: string }) {
  return (
    <div className="relative rounded-md border bg-sunken">
      <pre
        className="scroll-quiet overflow-x-auto p-3 pr-11 font-mono text-xs leading-5 text-ink"
        tabIndex={0}
        role="region"
        aria-label={label}
      >
        {text}
      </pre>
      <CopyButton text={text} label={`Copy ${label}`} className="absolute top-1 right-1 bg-sunken" />
    </div>
  );
}

/** An id cut to its first characters; the whole one on hover and by the button. */
export function ShortId({ id, label, length = 8 }: { id: string; label: string; length?: number }) {
  return (
    <span className="inline-flex items-center gap-0.5">
      <code className="font-mono text-xs" title={id}>
        {id.slice(0, length)}
      </code>
      <CopyButton text={id} label={`Copy ${label}`} className="!h-6 !w-6" />
    </span>
  );
}
