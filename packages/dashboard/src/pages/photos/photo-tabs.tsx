// The pages about photos.
import { Link } from '@tanstack/react-router';

const PAGES = [
  ['/photos', 'All'],
  ['/photos/protect', 'Protect'],
  ['/photos/verify', 'Verify'],
  ['/photos/keys', 'Keys'],
] as const;

export function PhotoTabs() {
  return (
    <nav aria-label="Pages about photos" className="flex gap-1">
      {PAGES.map(([to, title]) => (
        <Link
          key={to}
          to={to}
          activeOptions={{ exact: true, includeSearch: false }}
          className="flex h-8 items-center rounded-md px-2.5 text-ink-2 hover:bg-hover hover:text-ink"
          activeProps={{ className: 'bg-selected font-medium !text-accent' }}
        >
          {title}
        </Link>
      ))}
    </nav>
  );
}
