// The way in. A first login goes on to choosing a password of one's own.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate, useRouter, useSearch } from '@tanstack/react-router';
import { Fingerprint } from 'lucide-react';
import type { FormEvent } from 'react';
import { canUsePasskeys, loginByPasskey } from '../api/passkeys.ts';
import { login, loginProvidersQuery, sessionQuery, type Session } from '../api/session.ts';
import { Button, buttonLook } from '../elements/button.tsx';
import { TextField } from '../elements/field.tsx';
import { ProblemNotice } from '../elements/notice.tsx';
import { tellOtherTabs } from '../shell/other-tabs.ts';
import { Entrance } from './entrance.tsx';

/** What the server says of a login by an identity provider that failed. */
const SSO_FAILURES: Readonly<Record<string, string>> = {
  'unknown-provider': 'This identity provider is not known here, or it was switched off.',
  expired: 'The login took longer than ten minutes, or began in another browser. Begin anew.',
  provider: 'The identity provider did not confirm the login. Begin anew; if it happens again, ask whoever runs it.',
  'no-role': 'None of your groups is let in here. Ask an owner of the workspace.',
  removed: 'You were removed from this workspace. An owner can let you in again.',
  full: 'The workspace has as many members as it may have. Ask an owner of it.',
  'no-email': 'The identity provider told no e-mail address of yours.',
  'address-taken': 'Somebody else has your address here, and the identity provider did not verify it as yours.',
};

export function LoginPage() {
  const { next, sso, provider } = useSearch({ from: '/login' });
  const { data: providers } = useQuery(loginProvidersQuery);
  // a page elsewhere that leads to one which is not listed
  const asked = provider === undefined ? [] : [{ providerId: provider, name: 'your identity provider' }];
  const offered = providers?.some(({ providerId }) => providerId === provider)
    ? providers
    : [...asked, ...(providers ?? [])];
  const navigate = useNavigate();
  const router = useRouter();
  const queryClient = useQueryClient();
  const goOn = async (session: Session): Promise<void> => {
    queryClient.clear();
    tellOtherTabs();
    queryClient.setQueryData(sessionQuery.queryKey, session);
    if (session.mustChangePassword) await navigate({ to: '/change-password' });
    else router.history.push(insideAddress(next));
  };
  const entering = useMutation({
    mutationFn: ({ email, password }: { email: string; password: string }) => login(email, password),
    onSuccess: goOn,
  });
  const byPasskey = useMutation({ mutationFn: loginByPasskey, onSuccess: goOn });
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    entering.mutate({ email: String(form.get('email')), password: String(form.get('password')) });
  };
  return (
    <Entrance title="Log in">
      {sso !== undefined && (
        <p role="alert" className="mb-4 rounded-md bg-error-wash p-3 text-error">
          {SSO_FAILURES[sso] ?? SSO_FAILURES['provider']}
        </p>
      )}
      {offered.length > 0 && (
        <div className="mb-4 flex flex-col gap-2 border-b pb-4">
          {offered.map(({ providerId, name }) => (
            // a whole page, not a route of ours: it leads to the provider
            <a
              key={providerId}
              href={`/auth/oidc/${encodeURIComponent(providerId)}/login?${new URLSearchParams({ returnTo: insideAddress(next) })}`}
              className={buttonLook('plain')}
            >
              <span className="truncate">Continue with {name}</span>
            </a>
          ))}
        </div>
      )}
      <form className="flex flex-col gap-4" onSubmit={submit}>
        <TextField label="E-mail" name="email" type="email" autoComplete="username" autoFocus required />
        <TextField label="Password" name="password" type="password" autoComplete="current-password" required />
        {entering.error && <ProblemNotice error={entering.error} />}
        <Button type="submit" look="primary" disabled={entering.isPending}>
          {entering.isPending ? 'Logging in' : 'Log in'}
        </Button>
        {canUsePasskeys() && (
          <Button
            icon={<Fingerprint size={14} aria-hidden />}
            onClick={() => byPasskey.mutate()}
            disabled={byPasskey.isPending}
          >
            {byPasskey.isPending ? 'Waiting for the browser' : 'Use a passkey'}
          </Button>
        )}
        {byPasskey.error && <ProblemNotice error={byPasskey.error} />}
        <p className="text-xs text-ink-3">
          First time here? The e-mail and password are in <code className="font-mono">first-run.json</code> in the data
          folder that <code className="font-mono">lumatrace up</code> named.
        </p>
      </form>
    </Entrance>
  );
}

/** Only a path of this origin may follow a login: `//elsewhere` and `https://…` lead to the start page instead. */
function insideAddress(next: string | undefined): string {
  if (next === undefined || !next.startsWith('/')) return '/';
  const url = new URL(next, window.location.origin);
  return url.origin === window.location.origin ? url.pathname + url.search : '/';
}
