// Making an API key: name, scopes, expiry; the key itself is shown once.
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { createKey, keysQuery } from '../../api/settings.ts';
import { CopyBlock } from '../../elements/copy.tsx';
import { CredentialForm } from './credential-form.tsx';

interface CreateKeyProps {
  /** Scopes that are ticked at first. */
  scopes?: readonly string[];
  name?: string;
  /** Shows the list of scopes; otherwise the given ones are used as they are. */
  choosesScopes?: boolean;
  onCreated?(apiKey: string): void;
}

export function CreateKey({ scopes = [], name = '', choosesScopes = false, onCreated }: CreateKeyProps) {
  const queryClient = useQueryClient();
  const creating = useMutation({
    mutationFn: createKey,
    onSuccess: async (key) => {
      onCreated?.(key.apiKey);
      await queryClient.invalidateQueries({ queryKey: keysQuery.queryKey });
    },
  });
  if (creating.data === undefined)
    return (
      <CredentialForm
        action="Create key"
        name={name}
        scopes={scopes}
        choosesScopes={choosesScopes}
        busy={creating.isPending}
        error={creating.error}
        onSubmit={(wanted) => creating.mutate(wanted)}
      />
    );
  return (
    <div className="flex flex-col gap-2">
      <p>
        <strong className="font-semibold">{creating.data.name}</strong> is ready. Copy it now: it is not shown again.
      </p>
      <CopyBlock label="API key" text={creating.data.apiKey} />
    </div>
  );
}
