// The way out.
import { useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { logout } from '../api/session.ts';
import { tellOtherTabs } from './other-tabs.ts';

/** Ends the session and forgets what was read in it, also when the server does not answer. */
export function useLeave(): () => Promise<void> {
  const client = useQueryClient();
  const navigate = useNavigate();
  return async () => {
    await logout().catch(() => undefined);
    client.clear();
    tellOtherTabs();
    await navigate({ to: '/login' });
  };
}
