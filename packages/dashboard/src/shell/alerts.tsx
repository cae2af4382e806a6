// What the program noticed in the last day, above every page, for those who may read the audit log; until they say they saw it.
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { ShieldAlert, X } from 'lucide-react';
import { useState } from 'react';
import { alertsQuery, readsAudit, sentenceOf } from '../api/audit.ts';
import { sessionQuery } from '../api/session.ts';
import { IconButton } from '../elements/button.tsx';
import { Moment, useNow } from '../elements/figures.tsx';

const SEEN_KEY = 'lumatrace.alerts-seen';
const DAY_MS = 86_400_000;

export function AlertBanner() {
  const { data: session } = useQuery(sessionQuery);
  const isReader = readsAudit(session?.user.role);
  const { data: alerts = [] } = useQuery({ ...alertsQuery, enabled: isReader });
  // the moment of the newest one that was seen, in this browser
  const [seen, setSeen] = useState(() => localStorage.getItem(SEEN_KEY) ?? '');
  const now = useNow();
  const fresh = alerts.filter(({ at }) => at > seen && now - Date.parse(at) < DAY_MS);
  const [newest] = fresh;
  if (!isReader || newest === undefined) return null;
  const dismiss = (): void => {
    localStorage.setItem(SEEN_KEY, newest.at);
    setSeen(newest.at);
  };
  return (
    <div role="status" className="flex items-center gap-2 border-b border-error bg-error-wash px-4 py-1.5">
      <ShieldAlert size={16} className="shrink-0 text-error" aria-hidden />
      <p className="min-w-0 flex-1 text-ink">
        <span className="font-medium">{sentenceOf(newest)}</span>, <Moment iso={newest.at} />
        {fresh.length > 1 && `, and ${fresh.length - 1} more`}.{' '}
        <Link to="/settings/$section" params={{ section: 'audit' }} className="text-accent underline">
          Look at it
        </Link>
      </p>
      <IconButton label="I have seen it" onClick={dismiss} className="!h-6 !w-6">
        <X size={14} />
      </IconButton>
    </div>
  );
}
