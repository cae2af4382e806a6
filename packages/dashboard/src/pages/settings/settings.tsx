// Settings: keys, members, workspace, appearance; each section has its own address.
import { Link, useParams } from '@tanstack/react-router';
import type { ComponentType } from 'react';
import { Page } from '../../elements/page.tsx';
import { NotFound } from '../../shell/not-found.tsx';
import { AppearanceSection } from './appearance.tsx';
import { AuditSection } from './audit.tsx';
import { KeysSection } from './keys.tsx';
import { MembersSection } from './members.tsx';
import { PricesSection } from './prices.tsx';
import { RedactionSection } from './redaction.tsx';
import { SessionsSection } from './sessions.tsx';
import { SingleSignOnSection } from './single-sign-on.tsx';
import { TrustAnchorsSection } from './trust-anchors.tsx';
import { WorkspaceSection } from './workspace.tsx';

const SECTIONS: readonly { name: string; title: string; Content: ComponentType }[] = [
  { name: 'keys', title: 'API keys', Content: KeysSection },
  { name: 'members', title: 'Members', Content: MembersSection },
  { name: 'single-sign-on', title: 'Single sign-on', Content: SingleSignOnSection },
  { name: 'sessions', title: 'Sessions', Content: SessionsSection },
  { name: 'prices', title: 'Prices', Content: PricesSection },
  { name: 'redaction', title: 'Redaction', Content: RedactionSection },
  { name: 'trust-anchors', title: 'Trust anchors', Content: TrustAnchorsSection },
  { name: 'audit', title: 'Audit log', Content: AuditSection },
  { name: 'workspace', title: 'Workspace', Content: WorkspaceSection },
  { name: 'appearance', title: 'Appearance', Content: AppearanceSection },
];

export function SettingsPage() {
  const { section } = useParams({ from: '/shell/settings/$section' });
  const shown = SECTIONS.find(({ name }) => name === section);
  if (shown === undefined) return <NotFound />;
  return (
    <Page title="Settings">
      <div className="mx-auto flex max-w-6xl flex-col gap-4 md:flex-row md:gap-8">
        <nav aria-label="Sections of the settings" className="flex shrink-0 gap-1 overflow-x-auto md:w-40 md:flex-col">
          {SECTIONS.map(({ name, title }) => (
            <Link
              key={name}
              to="/settings/$section"
              params={{ section: name }}
              className="flex h-8 items-center rounded-md px-2.5 whitespace-nowrap text-ink-2 hover:bg-hover hover:text-ink"
              activeProps={{ className: 'bg-selected font-medium !text-accent' }}
            >
              {title}
            </Link>
          ))}
        </nav>
        <div className="flex min-w-0 flex-1 flex-col gap-4">
          <shown.Content />
        </div>
      </div>
    </Page>
  );
}
