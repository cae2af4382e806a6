// The way in. A first login goes on to choosing a password of one's own.
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useNavigate, useRouter, useSearch } from '@tanstack/react-router';
import type { FormEvent } from 'react';
import { login, sessionQuery } from '../api/session.ts';
import { Button } from '../elements/button.tsx';
import { TextField } from '../elements/field.tsx';
import { ProblemNotice } from '../elements/notice.tsx';
import { Entrance } from './entrance.tsx';

export function LoginPage() {
  const { next } = useSearch({ from: '/login' });
  const navigate = useNavigate();
  const router = useRouter();
  const queryClient = useQueryClient();
  const entering = useMutation({
    mutationFn: ({ email, password }: { email: string; password: string }) => login(email, password),
    onSuccess: async (session) => {
      queryClient.clear();
      queryClient.setQueryData(sessionQuery.queryKey, session);
      if (session.mustChangePassword) await navigate({ to: '/change-password' });
      else router.history.push(insideAddress(next));
    },
  });
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    entering.mutate({ email: String(form.get('email')), password: String(form.get('password')) });
  };
  return (
    <Entrance title="Log in">
      <form className="flex flex-col gap-4" onSubmit={submit}>
        <TextField label="E-mail" name="email" type="email" autoComplete="username" autoFocus required />
        <TextField label="Password" name="password" type="password" autoComplete="current-password" required />
        {entering.error && <ProblemNotice error={entering.error} />}
        <Button type="submit" look="primary" disabled={entering.isPending}>
          {entering.isPending ? 'Logging in' : 'Log in'}
        </Button>
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
