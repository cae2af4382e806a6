// What the palette can do, and how typed text finds it.
import type { Appearance } from '../theme/appearance.ts';

export interface Command {
  name: string;
  kind: string;
  href?: string;
  /** Served outside the dashboard. */
  leaves?: boolean;
  appearance?: Appearance;
}

const COMMANDS: readonly Command[] = [
  { name: 'Overview', kind: 'page', href: '/' },
  { name: 'Traces', kind: 'page', href: '/traces' },
  { name: 'Traces with errors', kind: 'page', href: '/traces?filter=error' },
  { name: 'Cost', kind: 'page', href: '/cost' },
  { name: 'Latency', kind: 'page', href: '/latency' },
  { name: 'Photos', kind: 'page', href: '/photos' },
  { name: 'Protect images', kind: 'action', href: '/photos/protect' },
  { name: 'Verify an image', kind: 'action', href: '/photos/verify' },
  { name: 'Connect an application', kind: 'action', href: '/connect' },
  { name: 'API keys', kind: 'settings', href: '/settings/keys' },
  { name: 'Members', kind: 'settings', href: '/settings/members' },
  { name: 'Trust anchors', kind: 'settings', href: '/settings/trust-anchors' },
  { name: 'Audit log', kind: 'settings', href: '/settings/audit' },
  { name: 'Workspace, retention and limits', kind: 'settings', href: '/settings/workspace' },
  { name: 'Appearance: light', kind: 'appearance', appearance: 'light' },
  { name: 'Appearance: dark', kind: 'appearance', appearance: 'dark' },
  { name: 'Appearance: like the system', kind: 'appearance', appearance: 'system' },
  { name: 'API documentation', kind: 'page', href: '/docs', leaves: true },
];

const TRACE_ID = /^[0-9a-f]{32}$/i;
const PHOTO_ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Commands whose name holds every typed word; an id becomes the way to its page, first. */
export function matchingCommands(text: string): Command[] {
  const words = text.trim().toLowerCase().split(/\s+/);
  const named = COMMANDS.filter(({ name }) => words.every((word) => name.toLowerCase().includes(word)));
  return [...idCommands(text.trim().toLowerCase()), ...named];
}

function idCommands(id: string): Command[] {
  if (TRACE_ID.test(id)) return [{ name: `Open trace ${id}`, kind: 'trace', href: `/traces/${id}` }];
  if (!PHOTO_ID.test(id)) return [];
  return [
    { name: `Open photo ${id}`, kind: 'photo', href: `/photos/${id}` },
    { name: `Open trace ${id}`, kind: 'trace', href: `/traces/${id.replaceAll('-', '')}` },
  ];
}
