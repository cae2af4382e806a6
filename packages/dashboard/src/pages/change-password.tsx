// A password of one's own, asked for at the first login before anything else opens.
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState, type FormEvent } from 'react';
import { changePassword } from '../api/session.ts';
import { Button } from '../elements/button.tsx';
import { TextField } from '../elements/field.tsx';
import { ProblemNotice } from '../elements/notice.tsx';
import { Entrance } from './entrance.tsx';

const MIN_LENGTH = 12;

export function ChangePasswordPage() {
  const [current, setCurrent] = useState('');
  const [next, setNext] = useState('');
  const [again, setAgain] = useState('');
  const navigate = useNavigate();
  const queryClient = useQueryClient();
  const changing = useMutation({
    mutationFn: () => changePassword(current, next),
    onSuccess: async () => {
      queryClient.clear();
      await navigate({ to: '/' });
    },
  });
  const tooShort = next !== '' && next.length < MIN_LENGTH;
  const differs = again !== '' && next !== again;
  const ready = current !== '' && next.length >= MIN_LENGTH && next === again;
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (ready) changing.mutate();
  };
  return (
    <Entrance title="Choose a password of your own">
      <form className="flex flex-col gap-4" onSubmit={submit}>
        <p className="text-ink-2">The one you were given works once. Everything else opens after this.</p>
        <TextField
          label="Password you were given"
          type="password"
          autoComplete="current-password"
          autoFocus
          required
          value={current}
          onChange={(event) => setCurrent(event.target.value)}
        />
        <TextField
          label="New password"
          type="password"
          autoComplete="new-password"
          required
          value={next}
          hint={`At least ${MIN_LENGTH} characters; a few words are easier to remember than signs.`}
          problem={tooShort ? `At least ${MIN_LENGTH} characters: ${next.length} so far.` : undefined}
          onChange={(event) => setNext(event.target.value)}
        />
        <TextField
          label="New password once more"
          type="password"
          autoComplete="new-password"
          required
          value={again}
          problem={differs ? 'The two are not the same.' : undefined}
          onChange={(event) => setAgain(event.target.value)}
        />
        {changing.error && <ProblemNotice error={changing.error} />}
        <Button type="submit" look="primary" disabled={!ready || changing.isPending}>
          Change password
        </Button>
      </form>
    </Entrance>
  );
}
