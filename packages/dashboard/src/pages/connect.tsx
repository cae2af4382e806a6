// Where a first login lands: how to send a first span. Turns into the list when one arrives.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { FileKey2, Radio } from 'lucide-react';
import { useEffect, useRef } from 'react';
import { deleteFirstRunFile, onboardingQuery } from '../api/session.ts';
import { Button } from '../elements/button.tsx';
import { ProblemNotice } from '../elements/notice.tsx';
import { Page } from '../elements/page.tsx';
import { ConnectLines } from './connect-lines.tsx';

const POLL_MS = 2_000;

export function ConnectPage() {
  const { data, error, refetch } = useQuery({
    ...onboardingQuery,
    refetchInterval: ({ state }) => (state.data?.hasSpans ? false : POLL_MS),
    staleTime: 0,
  });
  const navigate = useNavigate();
  const hadNone = useRef(false);
  useEffect(() => {
    if (data?.hasSpans === false) hadNone.current = true;
    if (data?.hasSpans && hadNone.current) void navigate({ to: '/traces', search: {} });
  }, [data?.hasSpans, navigate]);
  return (
    <Page title="Connect an application">
      <div className="mx-auto flex max-w-3xl flex-col gap-4">
        <div role="status" className="flex items-center gap-2.5 text-ink-2">
          <Radio size={16} className="text-accent" aria-hidden />
          {data?.hasSpans ? (
            <span>
              Spans are arriving.{' '}
              <Link to="/traces" className="text-accent underline">
                See the traces
              </Link>
              , or connect one more application.
            </span>
          ) : (
            <span>Waiting for the first span. This page turns into the list when it arrives.</span>
          )}
        </div>
        {error && <ProblemNotice error={error} retry={() => void refetch()} />}
        <ConnectLines />
        {data?.firstRunFile && <FirstRunFile path={data.firstRunFile} />}
      </div>
    </Page>
  );
}

/** The file holds a password, a key and an account in the clear: it has done its work. */
function FirstRunFile({ path }: { path: string }) {
  const queryClient = useQueryClient();
  const deleting = useMutation({
    mutationFn: deleteFirstRunFile,
    onSuccess: () => queryClient.invalidateQueries({ queryKey: onboardingQuery.queryKey }),
  });
  return (
    <section className="flex flex-wrap items-center gap-3 rounded-md border border-warn bg-warn-wash p-4">
      <FileKey2 size={16} className="text-warn" aria-hidden />
      <div className="min-w-0 flex-1 basis-80">
        <h2 className="font-medium">The first-run file is still there</h2>
        <p className="text-ink-2">
          It holds the first API key and the service account in the clear. Copy what you need, then delete it:{' '}
          <code className="font-mono text-xs break-all">{path}</code>
        </p>
        {deleting.error && <ProblemNotice error={deleting.error} />}
      </div>
      <Button look="danger" disabled={deleting.isPending} onClick={() => deleting.mutate()}>
        Delete the file
      </Button>
    </section>
  );
}
