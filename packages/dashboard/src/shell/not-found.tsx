// An address that leads nowhere.
import { Link } from '@tanstack/react-router';
import { Compass } from 'lucide-react';
import { Empty } from '../elements/notice.tsx';

export function NotFound() {
  return (
    <Empty icon={<Compass size={24} />} title="There is no such page">
      <p>The address may be mistyped, or belong to a newer version.</p>
      <Link to="/traces" className="text-accent underline">
        Go to the traces
      </Link>
    </Empty>
  );
}
