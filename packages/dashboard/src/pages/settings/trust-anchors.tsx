// Whom verifications here believe about signers: the workspace's roots, and beside them the installation's.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Plus } from 'lucide-react';
import { useState } from 'react';
import {
  anchorsQuery,
  MOST_ANCHORS,
  removeAnchor,
  type InstalledAnchor,
  type TenantAnchor,
} from '../../api/trust-anchors.ts';
import { Button } from '../../elements/button.tsx';
import { ShortId } from '../../elements/copy.tsx';
import { ConfirmByName, Dialog } from '../../elements/dialog.tsx';
import { Moment, useNow } from '../../elements/figures.tsx';
import { ProblemNotice } from '../../elements/notice.tsx';
import { Card } from '../../elements/page.tsx';
import { SkeletonRows } from '../../elements/skeleton.tsx';
import { Table } from '../../elements/table.tsx';
import { day } from '../../format/time.ts';
import { AddAnchor } from './trust-anchors-add.tsx';

export function TrustAnchorsSection() {
  const anchors = useQuery(anchorsQuery);
  const [adding, setAdding] = useState(false);
  const [doomed, setDoomed] = useState<TenantAnchor>();
  // without the right to administer keys there is nothing to show but the refusal
  if (anchors.error) return <ProblemNotice error={anchors.error} retry={() => void anchors.refetch()} />;
  if (anchors.data === undefined) return <SkeletonRows rows={4} />;
  const { data, installation, more } = anchors.data;
  return (
    <>
      <Card
        title="Trust anchors of this workspace"
        note={`believed about signers in its verifications alone; ${data.length} of ${MOST_ANCHORS}`}
        flush
        actions={
          <Button
            look="primary"
            icon={<Plus size={14} aria-hidden />}
            disabled={data.length >= MOST_ANCHORS}
            onClick={() => setAdding(true)}
          >
            Add a root
          </Button>
        }
      >
        <Own anchors={data} onRemove={setDoomed} />
      </Card>
      <Card title="Of the installation" note="changed by its operator, in files and settings" flush>
        <Installed anchors={installation} />
        {more > 0 && <p className="p-4 text-ink-3">And {more} more of the files.</p>}
      </Card>
      <Dialog title="Add a root" open={adding} onClose={() => setAdding(false)} wide>
        <AddAnchor onClose={() => setAdding(false)} />
      </Dialog>
      {doomed && <Remove anchor={doomed} onClose={() => setDoomed(undefined)} />}
    </>
  );
}

function Own({ anchors, onRemove }: { anchors: TenantAnchor[]; onRemove: (anchor: TenantAnchor) => void }) {
  if (anchors.length === 0)
    return <p className="p-4 text-ink-3">None. Pictures are believed by the installation’s roots alone.</p>;
  return (
    <Table
      label="Trust anchors of this workspace"
      head={['Subject', 'SHA-256', 'Ends', 'Added', '']}
      rows={anchors.map((anchor) => ({
        id: anchor.sha256,
        cells: [
          <Subject key="subject" name={anchor.subject} />,
          <ShortId key="id" id={anchor.sha256} label="fingerprint" length={16} />,
          <End key="end" at={anchor.expiresAt} />,
          <Moment key="added" iso={anchor.addedAt} />,
          <Button key="act" look="quiet" aria-label={`Remove ${anchor.subject}`} onClick={() => onRemove(anchor)}>
            Remove
          </Button>,
        ],
      }))}
    />
  );
}

const SOURCES = { own: 'made or brought here', file: 'file of signers', time: 'time stamps alone' } as const;

function Installed({ anchors }: { anchors: InstalledAnchor[] }) {
  return (
    <Table
      label="Trust anchors of the installation"
      head={['Subject', 'From', 'SHA-256', 'Ends']}
      rows={anchors.map(({ sha256, subject, source, expiresAt }) => ({
        id: `${source} ${sha256}`,
        cells: [
          <Subject key="subject" name={subject} />,
          SOURCES[source],
          <ShortId key="id" id={sha256} label="fingerprint" length={16} />,
          <End key="end" at={expiresAt} />,
        ],
      }))}
    />
  );
}

// names come out of certificates of strangers
function Subject({ name }: { name: string }) {
  return (
    <bdi className="block max-w-64 truncate font-medium" title={name}>
      {name === '' ? 'without a name' : name}
    </bdi>
  );
}

function End({ at }: { at: string }) {
  const hasEnded = Date.parse(at) <= useNow();
  return <span className={hasEnded ? 'text-error' : ''}>{hasEnded ? `ended ${day(at)}` : day(at)}</span>;
}

function Remove({ anchor: { sha256, subject }, onClose }: { anchor: TenantAnchor; onClose: () => void }) {
  const queryClient = useQueryClient();
  const removing = useMutation({
    mutationFn: () => removeAnchor(sha256),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: anchorsQuery.queryKey });
      onClose();
    },
  });
  const name = sha256.slice(0, 8);
  return (
    <ConfirmByName
      title="Remove this root"
      open
      name={name}
      action="Remove the root"
      consequence={
        <>
          From the next verification on, credentials that lead to <bdi className="break-words">{subject}</bdi> and to
          none of the other roots are INVALID in this workspace. To go on, type how its fingerprint begins.
        </>
      }
      busy={removing.isPending}
      error={removing.error}
      onConfirm={() => removing.mutate()}
      onClose={onClose}
    />
  );
}
