// API keys: what there is, a new one, and taking one away with a sentence about what that does.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Plus } from 'lucide-react';
import { useState } from 'react';
import { keysQuery, revokeKey, rotateKey, type ApiKey } from '../../api/settings.ts';
import { Button } from '../../elements/button.tsx';
import { ConfirmByName, Dialog } from '../../elements/dialog.tsx';
import { Moment, useNow } from '../../elements/figures.tsx';
import { ProblemNotice } from '../../elements/notice.tsx';
import { Card } from '../../elements/page.tsx';
import { SkeletonRows } from '../../elements/skeleton.tsx';
import { Table } from '../../elements/table.tsx';
import { plural } from '../../format/number.ts';
import { CreateKey } from './create-key.tsx';
import { Expiry, LastUsed, Scopes } from './credential-cells.tsx';
import { Rotate } from './rotate.tsx';
import { ServiceAccounts } from './service-accounts.tsx';

export function KeysSection() {
  return (
    <>
      <ApiKeys />
      <ServiceAccounts />
    </>
  );
}

function ApiKeys() {
  const keys = useQuery(keysQuery);
  const queryClient = useQueryClient();
  const [creating, setCreating] = useState(false);
  const [doomed, setDoomed] = useState<ApiKey>();
  const [rotated, setRotated] = useState<ApiKey>();
  return (
    <Card
      title="API keys"
      note="for machines; only a hash of each is kept"
      flush
      actions={
        <Button look="primary" icon={<Plus size={14} aria-hidden />} onClick={() => setCreating(true)}>
          New key
        </Button>
      }
    >
      {keys.error && (
        <div className="p-4">
          <ProblemNotice error={keys.error} retry={() => void keys.refetch()} />
        </div>
      )}
      {keys.isPending && !keys.error && <SkeletonRows rows={3} />}
      {keys.data && <KeyTable keys={keys.data} onRevoke={setDoomed} onRotate={setRotated} />}
      <Dialog title="New API key" open={creating} onClose={() => setCreating(false)} wide>
        <CreateKey choosesScopes scopes={['traces:write']} />
      </Dialog>
      {rotated && (
        <Rotate
          name={rotated.name}
          what="key"
          note="A new key with the same name and scopes takes its place."
          rotate={async (hours) => {
            const { apiKey, previousEndsAt } = await rotateKey(rotated.keyId, hours);
            await queryClient.invalidateQueries({ queryKey: keysQuery.queryKey });
            return { secret: apiKey, previousEndsAt };
          }}
          onClose={() => setRotated(undefined)}
        />
      )}
      {doomed && <Revoke apiKey={doomed} onClose={() => setDoomed(undefined)} />}
    </Card>
  );
}

interface KeyTableProps {
  keys: ApiKey[];
  onRevoke: (key: ApiKey) => void;
  onRotate: (key: ApiKey) => void;
}

/** A key that still works and has no successor. */
const canRotate = ({ replacedBy, expiresAt }: ApiKey, now: number): boolean =>
  replacedBy === null && (expiresAt === null || Date.parse(expiresAt) > now);

function KeyTable({ keys, onRevoke, onRotate }: KeyTableProps) {
  const now = useNow();
  if (keys.length === 0) return <p className="p-4 text-ink-3">No key yet. An application needs one to send spans.</p>;
  return (
    <Table
      label="API keys"
      head={['Name', 'Key', 'Scopes', 'Last used', 'Expires', '']}
      rows={keys.map((key) => ({
        id: key.keyId,
        cells: [
          <span key="name" className="font-medium">
            {key.name}
          </span>,
          <code key="key" className="font-mono text-xs">
            {key.prefix}…
          </code>,
          <Scopes key="scopes" scopes={key.scopes} />,
          <LastUsed key="used" at={key.lastUsedAt} />,
          <Expiry key="expires" expiresAt={key.expiresAt} now={now} />,
          key.revokedAt ? (
            <span key="act" className="text-ink-3">
              revoked
            </span>
          ) : (
            <span key="act" className="flex items-center gap-1">
              {canRotate(key, now) ? (
                <Button look="quiet" aria-label={`Rotate ${key.name}`} onClick={() => onRotate(key)}>
                  Rotate
                </Button>
              ) : (
                key.replacedBy !== null && <span className="text-ink-3">replaced</span>
              )}
              <Button look="quiet" aria-label={`Revoke ${key.name}`} onClick={() => onRevoke(key)}>
                Revoke
              </Button>
            </span>
          ),
        ],
      }))}
    />
  );
}

function Revoke({ apiKey, onClose }: { apiKey: ApiKey; onClose: () => void }) {
  const queryClient = useQueryClient();
  const revoking = useMutation({
    mutationFn: () => revokeKey(apiKey.keyId),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: keysQuery.queryKey });
      onClose();
    },
  });
  return (
    <ConfirmByName
      title="Revoke this key"
      open
      name={apiKey.name}
      action="Revoke the key"
      consequence={
        <>
          Within 5 seconds every request with <code className="font-mono text-xs">{apiKey.prefix}…</code> is refused; it
          loses {plural(apiKey.scopes.length, 'scope')}. What it sent stays.{' '}
          {apiKey.lastUsedAt ? (
            <>
              It was last used <Moment iso={apiKey.lastUsedAt} />.
            </>
          ) : (
            'It was never used.'
          )}{' '}
          This cannot be undone.
        </>
      }
      busy={revoking.isPending}
      error={revoking.error}
      onConfirm={() => revoking.mutate()}
      onClose={onClose}
    />
  );
}
