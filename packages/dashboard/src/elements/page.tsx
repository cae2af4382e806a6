// The frame of every page: title, its controls on the right, content below; and the card that groups content.
import { useEffect, type ReactNode } from 'react';

interface PageProps {
  title: string;
  /** Shown before the title, such as a way back. */
  before?: ReactNode;
  actions?: ReactNode;
  /** The content scrolls itself (lists); otherwise the page does. */
  fills?: boolean;
  children: ReactNode;
}

export function Page({ title, before, actions, fills = false, children }: PageProps) {
  useEffect(() => {
    document.title = `${title} · LumaTrace`;
  }, [title]);
  return (
    <div className="flex h-full min-h-0 flex-col">
      <header className="flex min-h-12 flex-wrap items-center gap-x-3 gap-y-2 border-b bg-surface px-4 py-2">
        {before}
        <h1 className="min-w-0 truncate text-md font-semibold">{title}</h1>
        {actions && <div className="ml-auto flex max-w-full min-w-0 flex-wrap items-center gap-2">{actions}</div>}
      </header>
      <div
        className={fills ? 'flex min-h-0 flex-1 flex-col' : 'scroll-quiet min-h-0 flex-1 overflow-y-auto p-4 pb-10'}
        {...(fills ? {} : { tabIndex: -1 })}
      >
        {children}
      </div>
    </div>
  );
}

interface CardProps {
  title?: ReactNode;
  note?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
  className?: string;
  flush?: boolean;
}

export function Card({ title, note, actions, children, className = '', flush = false }: CardProps) {
  return (
    <section className={`min-w-0 rounded-md border bg-surface ${className}`}>
      {(title !== undefined || actions !== undefined) && (
        <div className="flex min-h-10 flex-wrap items-center gap-x-3 gap-y-1 border-b px-4 py-1.5">
          {title !== undefined && <h2 className="text-sm font-semibold">{title}</h2>}
          {note && <span className="text-xs text-ink-3">{note}</span>}
          {actions && <div className="ml-auto flex items-center gap-2">{actions}</div>}
        </div>
      )}
      <div className={flush ? '' : 'p-4'}>{children}</div>
    </section>
  );
}
