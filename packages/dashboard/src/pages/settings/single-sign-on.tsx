// Identity providers: who vouches for people of this workspace, and what their groups mean here.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Plus } from 'lucide-react';
import { lazy, Suspense, useState } from 'react';
import {
  changeProvider,
  loginAddress,
  oidcProvidersQuery,
  removeProvider,
  type OidcProvider,
} from '../../api/oidc-providers.ts';
import { sessionQuery } from '../../api/session.ts';
import { Button } from '../../elements/button.tsx';
import { CopyBlock } from '../../elements/copy.tsx';
import { ConfirmByName, Dialog } from '../../elements/dialog.tsx';
import { Tag } from '../../elements/figures.tsx';
import { ProblemNotice } from '../../elements/notice.tsx';
import { Card } from '../../elements/page.tsx';
import { SkeletonRows } from '../../elements/skeleton.tsx';
import { plural } from '../../format/number.ts';

const ProviderForm = lazy(() =>
  import('./single-sign-on-form.tsx').then(({ ProviderForm: form }) => ({ default: form })),
);

export function SingleSignOnSection() {
  const { data: session } = useQuery(sessionQuery);
  const role = session?.user.role;
  const mayRead = role === 'owner' || role === 'admin';
  const providers = useQuery({ ...oidcProvidersQuery, enabled: mayRead });
  const client = useQueryClient();
  const readAgain = (): Promise<void> => client.invalidateQueries({ queryKey: oidcProvidersQuery.queryKey });
  const [edited, setEdited] = useState<OidcProvider | 'new'>();
  const [doomed, setDoomed] = useState<OidcProvider>();
  const isOwner = role === 'owner';
  const switching = useMutation({
    mutationFn: ({ providerId, disabledAt }: OidcProvider) =>
      changeProvider(providerId, { isDisabled: disabledAt === null }),
    onSettled: readAgain,
  });
  const removing = useMutation({
    mutationFn: ({ providerId }: OidcProvider) => removeProvider(providerId),
    onSuccess: () => setDoomed(undefined),
    onSettled: readAgain,
  });
  const error = providers.error ?? switching.error;
  return (
    <Card
      title="Single sign-on"
      note="identity providers that vouch for people of this workspace (OpenID Connect)"
      flush
      actions={
        isOwner && (
          <Button look="primary" icon={<Plus size={14} aria-hidden />} onClick={() => setEdited('new')}>
            Add a provider
          </Button>
        )
      }
    >
      {role !== undefined && !mayRead && <p className="p-4 text-ink-3">Owners and admins see this.</p>}
      {error && (
        <div className="p-4">
          <ProblemNotice error={error} retry={() => void providers.refetch()} />
        </div>
      )}
      {mayRead && providers.isPending && !providers.error && <SkeletonRows rows={2} />}
      {providers.data?.length === 0 && (
        <p className="p-4 text-ink-3">None yet: people log in by password or passkey.</p>
      )}
      <ul className="divide-y">
        {providers.data?.map((provider) => (
          <li key={provider.providerId} className="flex flex-col gap-3 p-4">
            <Head provider={provider} />
            {isOwner && (
              <div className="flex flex-wrap gap-1">
                <Button aria-label={`Change ${provider.name}`} onClick={() => setEdited(provider)}>
                  Change
                </Button>
                <Button
                  aria-label={`Switch ${provider.disabledAt === null ? 'off' : 'on'} ${provider.name}`}
                  disabled={switching.isPending}
                  onClick={() => switching.mutate(provider)}
                >
                  {provider.disabledAt === null ? 'Switch off' : 'Switch on'}
                </Button>
                <Button
                  look="quiet"
                  aria-label={`Remove ${provider.name}`}
                  onClick={() => {
                    removing.reset();
                    setDoomed(provider);
                  }}
                >
                  Remove
                </Button>
              </div>
            )}
          </li>
        ))}
      </ul>
      <Dialog
        title={edited === 'new' || edited === undefined ? 'Add an identity provider' : `Change ${edited.name}`}
        open={edited !== undefined}
        onClose={() => setEdited(undefined)}
        wide
      >
        <Suspense fallback={<SkeletonRows rows={4} />}>
          {edited !== undefined && (
            <ProviderForm
              provider={edited === 'new' ? undefined : edited}
              onSaved={readAgain}
              onClose={() => setEdited(undefined)}
            />
          )}
        </Suspense>
      </Dialog>
      {doomed && (
        <ConfirmByName
          title="Remove this identity provider"
          open
          name={doomed.name}
          action="Remove the provider"
          consequence="Sessions that it opened end at once, and nobody comes in by it any more. People whom it brought stay in the list of members until you remove them there."
          busy={removing.isPending}
          error={removing.error}
          onConfirm={() => removing.mutate(doomed)}
          onClose={() => setDoomed(undefined)}
        />
      )}
    </Card>
  );
}

function Head({ provider }: { provider: OidcProvider }) {
  const { name, issuer, clientId, roleByGroup, defaultRole, isListed, disabledAt, redirectUri } = provider;
  return (
    <>
      <div className="flex min-w-0 flex-col gap-0.5">
        <p className="flex flex-wrap items-center gap-2">
          <span className="min-w-0 truncate font-medium">{name}</span>
          {disabledAt !== null && <Tag>off</Tag>}
          {isListed && <Tag>on the login page</Tag>}
        </p>
        <p className="truncate font-mono text-xs text-ink-2" title={issuer}>
          {issuer}
        </p>
        <p className="text-xs text-ink-3">
          client {clientId}; {plural(roleByGroup.length, 'group')} with a role;{' '}
          {defaultRole === null ? 'nobody else is let in' : `everybody else: ${defaultRole}`}
        </p>
      </div>
      <details>
        <summary className="cursor-pointer text-xs text-ink-2">Addresses</summary>
        <div className="mt-2 flex flex-col gap-2">
          <p className="text-xs text-ink-3">Register this redirect URI at the provider:</p>
          <CopyBlock label={`Redirect URI of ${name}`} text={redirectUri} />
          <p className="text-xs text-ink-3">A login begins here, for portals and bookmarks:</p>
          <CopyBlock label={`Login address of ${name}`} text={loginAddress(provider)} />
        </div>
      </details>
    </>
  );
}
