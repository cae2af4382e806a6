// Copy-ready lines that send a first span to this installation, in the four ways people start.
import { useQuery } from '@tanstack/react-query';
import { Tabs } from 'radix-ui';
import { useState } from 'react';
import { onboardingQuery } from '../api/session.ts';
import { Card } from '../elements/page.tsx';
import { CopyBlock } from '../elements/copy.tsx';
import { CreateKey } from './settings/create-key.tsx';
import { linesFor, WAYS } from './lines.ts';

export function ConnectLines() {
  const { data: onboarding } = useQuery(onboardingQuery);
  const [apiKey, setApiKey] = useState<string>();
  const otlpUrl = onboarding?.otlpUrl ?? window.location.origin;
  return (
    <div className="flex flex-col gap-4">
      <Card title="1. A key to send with" note="shown once, then only its hash is kept">
        <CreateKey scopes={['traces:write']} name="First application" onCreated={setApiKey} />
      </Card>
      <Card title="2. Lines to copy" note={apiKey ? 'with your new key in place' : 'put your key in place of YOUR_KEY'}>
        <Tabs.Root defaultValue={WAYS[0].name}>
          <Tabs.List aria-label="Way to send" className="mb-3 flex flex-wrap gap-1 border-b">
            {WAYS.map(({ name }) => (
              <Tabs.Trigger key={name} value={name} className={TAB}>
                {name}
              </Tabs.Trigger>
            ))}
          </Tabs.List>
          {WAYS.map((way) => (
            <Tabs.Content key={way.name} value={way.name} className="flex flex-col gap-2" tabIndex={-1}>
              <p className="text-ink-2">{way.note}</p>
              {linesFor(way, otlpUrl, apiKey ?? 'YOUR_KEY').map(({ label, text }) => (
                <CopyBlock key={label} label={label} text={text} />
              ))}
            </Tabs.Content>
          ))}
        </Tabs.Root>
      </Card>
    </div>
  );
}

export const TAB =
  'h-8 -mb-px border-b-2 border-transparent px-3 text-ink-2 hover:text-ink data-[state=active]:border-accent data-[state=active]:font-medium data-[state=active]:text-ink';
