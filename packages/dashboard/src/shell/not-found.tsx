// An address that leads nowhere.
import { Link } from '@tanstack/react-router';
import { Compass } from 'lucide-react';
import { Page } from '../elements/page.tsx';

export function NotFound() {
  return (
    <Page title="There is no such page">
      <div className="mx-auto flex max-w-lg flex-col items-center gap-3 py-16 text-center text-ink-2">
        <Compass size={24} aria-hidden className="text-ink-3" />
        <p>The address may be mistyped, or belong to a newer version.</p>
        <Link to="/traces" className="text-accent underline">
          Go to the traces
        </Link>
      </div>
    </Page>
  );
}
