// What the transparency log holds about a photo, with each proof computed in the browser.
import { useQuery } from '@tanstack/react-query';
import { CircleCheck, CircleX, Clock, Download } from 'lucide-react';
import { ApiError } from '../../api/client.ts';
import { entryOf, inclusionOf, logProofQuery, type Receipt } from '../../api/log-proof.ts';
import { IconButton } from '../../elements/button.tsx';
import { ProblemNotice } from '../../elements/notice.tsx';
import { Card } from '../../elements/page.tsx';
import { count, plural } from '../../format/number.ts';
import { exactMoment } from '../../format/time.ts';
import { saveBlob } from './thumb.tsx';

const ACTIONS = new Map([
  ['photo.register', 'Registered'],
  ['photo.protect', 'Protected'],
  ['photo.publish', 'Published'],
  ['photo.unpublish', 'Publication taken back'],
]);

export function LogCard({ photoId }: { photoId: string }) {
  const answer = useQuery(logProofQuery(photoId));
  // who may read the photo but not check it sees no log
  if (answer.error instanceof ApiError && answer.error.status === 403) return null;
  const receipts = answer.data?.data;
  return (
    <Card title="In the transparency log" note={receipts && receipts.length > 0 && 'proofs computed in this browser'}>
      {answer.error && <ProblemNotice error={answer.error} retry={() => void answer.refetch()} />}
      {receipts?.length === 0 && (
        <p className="text-ink-2">The log holds nothing about it: it is older than the log.</p>
      )}
      {receipts && receipts.length > 0 && (
        <ol className="flex flex-col gap-3">
          {receipts.map((receipt) => (
            <ReceiptLine key={receipt.leafHash} receipt={receipt} />
          ))}
        </ol>
      )}
    </Card>
  );
}

function ReceiptLine({ receipt }: { receipt: Receipt }) {
  const entry = entryOf(receipt);
  const name = entry === null ? 'An entry that cannot be read' : (ACTIONS.get(entry.action) ?? entry.action);
  return (
    <li>
      <p className="flex items-center gap-2">
        <span className="font-medium">{name}</span>
        {entry && <time className="text-xs text-ink-3">{exactMoment(entry.at)}</time>}
        <span className="flex-1" />
        <IconButton
          label={`Save the receipt “${name}”`}
          className="!h-6 !w-6"
          onClick={() =>
            saveBlob(new Blob([JSON.stringify(receipt, null, 2)], { type: 'application/json' }), 'receipt.json')
          }
        >
          <Download size={14} />
        </IconButton>
      </p>
      <InclusionLine receipt={receipt} />
    </li>
  );
}

function InclusionLine({ receipt }: { receipt: Receipt }) {
  const { data: inclusion } = useQuery({
    queryKey: ['inclusion', receipt.leafHash, receipt.checkpoint],
    queryFn: () => inclusionOf(receipt),
    staleTime: Number.POSITIVE_INFINITY,
  });
  if (inclusion === undefined) return null;
  if (inclusion.name === 'waits')
    return (
      <p className="flex items-start gap-2 text-ink-2">
        <Clock size={14} className="mt-0.5 shrink-0" aria-hidden /> Written; the log takes it in within moments.
      </p>
    );
  if (inclusion.name === 'refused')
    return (
      <p className="flex items-start gap-2 text-error">
        <CircleX size={14} className="mt-0.5 shrink-0" aria-hidden /> Its proof does not lead to the log’s root.
      </p>
    );
  return (
    <p className="flex items-start gap-2 text-ink-2">
      <CircleCheck size={14} className="mt-0.5 shrink-0 text-ok" aria-hidden />
      <span>
        Entry {count((receipt.leafIndex ?? 0) + 1)} of {count(inclusion.treeSize)};{' '}
        {wayToRoot(receipt.proof?.length ?? 0)} Whether the log signed that root, the saved receipt tells with{' '}
        <code className="font-mono text-xs">verify --proof</code>.
      </span>
    </p>
  );
}

function wayToRoot(hashes: number): string {
  if (hashes === 0) return 'its hash is the root of the log.';
  return `${plural(hashes, 'hash leads', 'hashes lead')} to the root of the log.`;
}
