// What to show instead of what was asked for: a problem with its code and a way on, an empty state that teaches.
import { CircleAlert, RotateCw } from 'lucide-react';
import type { ReactNode } from 'react';
import { ApiError } from '../api/client.ts';
import { Button } from './button.tsx';
import { CopyButton } from './copy.tsx';

/** What happened, the code, what to do, the request id, and a retry when that may help. */
export function ProblemNotice({ error, retry, title }: { error: Error; retry?: () => void; title?: string }) {
  const api = error instanceof ApiError ? error : undefined;
  return (
    <div role="alert" className="flex gap-3 rounded-md border border-error bg-error-wash p-3">
      <CircleAlert size={16} className="mt-0.5 shrink-0 text-error" aria-hidden />
      <div className="min-w-0 flex-1">
        <p className="font-medium text-ink">{title ?? error.message}</p>
        {title !== undefined && <p className="text-ink">{error.message}</p>}
        {api && <p className="text-ink-2">{api.action}</p>}
        {api && (
          <p className="mt-1 flex flex-wrap items-center gap-x-2 text-xs text-ink-2">
            <code className="font-mono">{api.code}</code>
            {api.retryAfterS !== undefined && <span>retry in {api.retryAfterS} s</span>}
            {api.requestId !== undefined && (
              <span className="inline-flex min-w-0 items-center">
                request&nbsp;<code className="truncate font-mono">{api.requestId}</code>
                <CopyButton text={api.requestId} label="Copy request id" className="!h-6 !w-6" />
              </span>
            )}
          </p>
        )}
      </div>
      {retry && (
        <Button onClick={retry} icon={<RotateCw size={14} />} className="self-start">
          Retry
        </Button>
      )}
    </div>
  );
}

export function Empty({ icon, title, children }: { icon?: ReactNode; title: string; children?: ReactNode }) {
  return (
    <div className="mx-auto flex max-w-lg flex-col items-center gap-2 px-6 py-16 text-center">
      {icon && <div className="text-ink-3">{icon}</div>}
      <h2 className="text-md font-semibold">{title}</h2>
      <div className="flex flex-col items-center gap-3 text-ink-2">{children}</div>
    </div>
  );
}
