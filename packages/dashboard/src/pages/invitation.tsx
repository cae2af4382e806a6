// Where the link of an invitation leads: somebody new chooses a name and a password, somebody known joins.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { useState, type FormEvent } from 'react';
import {
  acceptInvitation,
  invitationQuery,
  joinByInvitation,
  switchTenant,
  type InvitationShown,
} from '../api/people.ts';
import { anySessionQuery, logout } from '../api/session.ts';
import { Button } from '../elements/button.tsx';
import { TextField } from '../elements/field.tsx';
import { ProblemNotice } from '../elements/notice.tsx';
import { SkeletonRows } from '../elements/skeleton.tsx';
import { Entrance } from './entrance.tsx';

const MIN_LENGTH = 12;
const KEPT = 'lumatrace.invitation';

/** From the fragment, which goes at once: histories and shoulders need not see it. Kept in the tab for a login on the way. */
function tokenOfAddress(): string {
  const inAddress = window.location.hash.slice(1);
  if (inAddress === '') return sessionStorage.getItem(KEPT) ?? '';
  sessionStorage.setItem(KEPT, inAddress);
  window.history.replaceState(window.history.state, '', window.location.pathname);
  return inAddress;
}

export function InvitationPage() {
  const [token] = useState(tokenOfAddress);
  const invitation = useQuery(invitationQuery(token));
  const session = useQuery(anySessionQuery);
  return (
    <Entrance title={invitation.data === undefined ? 'Invitation' : `Join ${invitation.data.tenantName}`}>
      {(invitation.error ?? session.error) && <ProblemNotice error={(invitation.error ?? session.error) as Error} />}
      {(invitation.isPending || session.isPending) && !invitation.error && <SkeletonRows rows={3} />}
      {invitation.data && !session.isPending && (
        <div className="flex flex-col gap-4">
          <p className="text-ink-2">
            <strong className="font-semibold text-ink">{invitation.data.email}</strong> is invited as{' '}
            {invitation.data.role}.
          </p>
          {!session.data ? (
            <NewPerson token={token} />
          ) : (
            <KnownPerson token={token} invitation={invitation.data} email={session.data.user.email} />
          )}
        </div>
      )}
    </Entrance>
  );
}

function useEntered(): () => Promise<void> {
  const queryClient = useQueryClient();
  const navigate = useNavigate();
  return async () => {
    sessionStorage.removeItem(KEPT);
    queryClient.clear();
    await navigate({ to: '/' });
  };
}

function NewPerson({ token }: { token: string }) {
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const entered = useEntered();
  const accepting = useMutation({ mutationFn: acceptInvitation, onSuccess: entered });
  const tooShort = password !== '' && password.length < MIN_LENGTH;
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    accepting.mutate({ token, name: name.trim(), password });
  };
  return (
    <>
      <form className="flex flex-col gap-4" onSubmit={submit}>
        <TextField
          label="Your name"
          autoComplete="name"
          required
          maxLength={200}
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        <TextField
          label="Password"
          type="password"
          autoComplete="new-password"
          required
          value={password}
          hint={`At least ${MIN_LENGTH} characters; a few words are easier to remember than signs.`}
          problem={tooShort ? `At least ${MIN_LENGTH} characters: ${password.length} so far.` : undefined}
          onChange={(event) => setPassword(event.target.value)}
        />
        {accepting.error && <ProblemNotice error={accepting.error} />}
        <Button
          type="submit"
          look="primary"
          disabled={accepting.isPending || name.trim() === '' || password.length < MIN_LENGTH}
        >
          Make my account
        </Button>
      </form>
      <p className="text-xs text-ink-3">
        You have an account here already?{' '}
        <Link to="/login" search={{ next: '/invitation' }} className="text-accent underline">
          Log in
        </Link>{' '}
        and join with it.
      </p>
    </>
  );
}

interface KnownPersonProps {
  token: string;
  invitation: InvitationShown;
  /** Of whoever is logged in. */
  email: string;
}

function KnownPerson({ token, invitation, email }: KnownPersonProps) {
  const entered = useEntered();
  const queryClient = useQueryClient();
  const joining = useMutation({
    mutationFn: async () => switchTenant((await joinByInvitation(token)).tenantId),
    onSuccess: entered,
  });
  const leaving = useMutation({
    mutationFn: logout,
    onSettled: () => queryClient.resetQueries({ queryKey: anySessionQuery.queryKey }),
  });
  const isTheirs = email === invitation.email;
  return (
    <>
      <p className="text-ink-2">You are logged in as {email}.</p>
      {joining.error && <ProblemNotice error={joining.error} />}
      {isTheirs ? (
        <Button look="primary" disabled={joining.isPending} onClick={() => joining.mutate()}>
          Join {invitation.tenantName}
        </Button>
      ) : (
        <>
          <p className="text-ink-2">The invitation is for another address.</p>
          <Button disabled={leaving.isPending} onClick={() => leaving.mutate()}>
            Log out
          </Button>
        </>
      )}
    </>
  );
}
