// The frame of the pages before one is inside: the mark, one card, nothing else.
import { useEffect, type ReactNode } from 'react';
import { Mark } from '../shell/mark.tsx';

export function Entrance({ title, children }: { title: string; children: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · LumaTrace`;
  }, [title]);
  return (
    <main className="flex min-h-dvh flex-col items-center justify-center gap-5 p-4">
      <div className="flex items-center gap-2.5">
        <Mark size={28} />
        <span className="text-lg font-semibold tracking-tight">LumaTrace</span>
      </div>
      <div className="w-full max-w-sm rounded-md border bg-surface p-6">
        <h1 className="mb-4 text-md font-semibold">{title}</h1>
        {children}
      </div>
      <p className="text-center text-xs text-ink-3">
        See what your AI does. Prove what it makes. Show that you keep your word.
      </p>
    </main>
  );
}
