// Starts the dashboard: one query client, one router, one page element.
import './theme/theme.css';
import { QueryCache, QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { ApiError } from './api/client.ts';
import { makeRouter } from './routes.tsx';
import { onOtherTab } from './shell/other-tabs.ts';

/** Only what may pass by itself is asked again: no answer, or a server that is not ready. */
function mayPass(failures: number, error: Error): boolean {
  return failures < 2 && error instanceof ApiError && (error.status === 0 || error.status === 503);
}

const queryClient = new QueryClient({
  queryCache: new QueryCache({ onError: (error) => error instanceof ApiError && error.isLoggedOut && leave() }),
  defaultOptions: { queries: { retry: mayPass, refetchOnWindowFocus: false } },
});
const router = makeRouter(queryClient);

// the session ended while a page was open: log in again, then come back here
function leave(): void {
  const { pathname, href } = router.state.location;
  if (pathname === '/login') return;
  queryClient.removeQueries({ queryKey: ['session'] });
  void router.navigate({ to: '/login', search: { next: href } });
}

// nothing that was read in one workspace, or as one person, is shown in another
onOtherTab(() => {
  queryClient.clear();
  void router.navigate({ to: '/' });
});

const root = document.querySelector('#root');
if (root === null) throw new Error('Expected an element #root in index.html');
createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={queryClient}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  </StrictMode>,
);
