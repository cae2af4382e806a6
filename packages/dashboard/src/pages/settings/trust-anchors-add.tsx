// One more root: its PEM, what it is, and only then the button that believes it.
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useId, useState, type ChangeEvent, type FormEvent, type ReactNode } from 'react';
import {
  addAnchor,
  anchorsQuery,
  MOST_PEM_CHARACTERS,
  previewAnchor,
  type AnchorFacts,
} from '../../api/trust-anchors.ts';
import { Button } from '../../elements/button.tsx';
import { ProblemNotice } from '../../elements/notice.tsx';
import { day } from '../../format/time.ts';

export function AddAnchor({ onClose }: { onClose: () => void }) {
  const queryClient = useQueryClient();
  const [pem, setPem] = useState('');
  const previewing = useMutation({ mutationFn: previewAnchor });
  const adding = useMutation({
    mutationFn: addAnchor,
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: anchorsQuery.queryKey });
      onClose();
    },
  });
  // what is shown is of the text that is there: another text has to be looked at first
  const change = (text: string): void => {
    setPem(text);
    previewing.reset();
    adding.reset();
  };
  const facts = previewing.data;
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (facts === undefined) previewing.mutate(pem);
    else adding.mutate(pem);
  };
  const error = previewing.error ?? adding.error;
  return (
    <form className="flex flex-col gap-3" onSubmit={submit}>
      <PemField pem={pem} onChange={change} />
      {facts && <Facts facts={facts} />}
      {error && <ProblemNotice error={error} />}
      <div className="flex justify-end gap-2">
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" look="primary" disabled={pem.trim() === '' || previewing.isPending || adding.isPending}>
          {facts === undefined ? 'Look at it' : 'Believe this root'}
        </Button>
      </div>
    </form>
  );
}

function PemField({ pem, onChange }: { pem: string; onChange: (text: string) => void }) {
  const id = useId();
  const read = async (event: ChangeEvent<HTMLInputElement>): Promise<void> => {
    const [file] = event.target.files ?? [];
    // a file that is no certificate is not read whole: the server says what is wrong with its beginning
    if (file) onChange(await file.slice(0, MOST_PEM_CHARACTERS).text());
  };
  return (
    <>
      <div className="flex flex-col gap-1">
        <label htmlFor={id} className="text-xs font-medium text-ink-2">
          Certificate (PEM)
        </label>
        <textarea
          id={id}
          className="h-36 w-full rounded-md border border-line-control bg-surface p-2.5 font-mono text-xs text-ink"
          value={pem}
          maxLength={MOST_PEM_CHARACTERS}
          spellCheck={false}
          onChange={(event) => onChange(event.target.value)}
        />
      </div>
      <label className="flex flex-col gap-1 text-xs font-medium text-ink-2">
        Or a file
        <input type="file" accept=".pem,.crt,.cer" className="text-sm" onChange={(event) => void read(event)} />
      </label>
    </>
  );
}

function Facts({ facts: { subject, issuer, validFrom, expiresAt, sha256 } }: { facts: AnchorFacts }) {
  return (
    <section aria-label="What this certificate is" className="rounded-md border bg-sunken p-3">
      <dl className="grid gap-x-4 gap-y-1 sm:grid-cols-[auto_1fr]">
        <Fact name="Subject">{subject}</Fact>
        <Fact name="Issuer">{issuer === subject ? 'itself: a root' : issuer}</Fact>
        <Fact name="Valid">
          {day(validFrom)} to {day(expiresAt)}
        </Fact>
        <Fact name="SHA-256">
          <code className="font-mono text-xs">{sha256.match(/.{1,4}/g)?.join(' ')}</code>
        </Fact>
      </dl>
      <p className="mt-2 text-ink-2">
        From then on, whoever holds its key decides which signers this workspace’s verifications trust. Compare the
        fingerprint with one that its owner publishes.
      </p>
    </section>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt className="text-ink-3">{name}</dt>
      <dd dir="auto" className="min-w-0 break-words">
        {children}
      </dd>
    </>
  );
}
