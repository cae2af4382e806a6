// Every address of the dashboard and what its search parameters mean. Pages are loaded when they are first opened.
import type { QueryClient } from '@tanstack/react-query';
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
} from '@tanstack/react-router';
import { ApiError } from './api/client.ts';
import { onboardingQuery, sessionQuery } from './api/session.ts';
import { ProblemNotice } from './elements/notice.tsx';
import { rangeFromSearch, type RangeSearch } from './filters/range.ts';
import { NotFound } from './shell/not-found.tsx';
import { Shell } from './shell/shell.tsx';

interface Context {
  queryClient: QueryClient;
}

type Raw = Record<string, unknown>;

/** Search parameters are plain text: `?filter=error&range=24h`, never JSON. Absent and empty are the same. */
const text = (raw: Raw, name: string): Record<string, string> => {
  const value = raw[name];
  return typeof value === 'string' && value !== '' ? { [name]: value } : {};
};

function oneOf<Value extends string>(raw: Raw, name: string, values: readonly Value[]): { [name: string]: Value } {
  const value = values.find((each) => each === raw[name]);
  return value === undefined ? {} : { [name]: value };
}

const root = createRootRouteWithContext<Context>()({
  component: Outlet,
  errorComponent: ({ error, reset }) => (
    <main className="mx-auto max-w-xl p-6">
      <ProblemNotice error={error instanceof Error ? error : new Error(String(error))} retry={reset} />
    </main>
  ),
});

const loginRoute = createRoute({
  getParentRoute: () => root,
  path: '/login',
  validateSearch: (raw: Raw): { next?: string; sso?: string; provider?: string } => ({
    ...text(raw, 'next'),
    ...text(raw, 'sso'),
    ...text(raw, 'provider'),
  }),
  component: lazyRouteComponent(() => import('./pages/login.tsx'), 'LoginPage'),
});

const passwordRoute = createRoute({
  getParentRoute: () => root,
  path: '/change-password',
  component: lazyRouteComponent(() => import('./pages/change-password.tsx'), 'ChangePasswordPage'),
});

/** Where an invitation leads; its token stands in the fragment. */
const invitationRoute = createRoute({
  getParentRoute: () => root,
  path: '/invitation',
  component: lazyRouteComponent(() => import('./pages/invitation.tsx'), 'InvitationPage'),
});

/** For strangers: no login, nothing of the workspace. */
const detectRoute = createRoute({
  getParentRoute: () => root,
  path: '/detect',
  component: lazyRouteComponent(() => import('./pages/detect.tsx'), 'DetectPage'),
});

/** Everything behind the login. */
const shellRoute = createRoute({
  getParentRoute: () => root,
  id: 'shell',
  component: Shell,
  beforeLoad: async ({ context, location }) => {
    const session = await context.queryClient.ensureQueryData(sessionQuery).catch((error: unknown) => {
      if (error instanceof ApiError && error.isLoggedOut)
        throw redirect({ to: '/login', search: { next: location.href } });
      throw error;
    });
    if (session.mustChangePassword) throw redirect({ to: '/change-password' });
  },
});

const overviewRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/',
  // before the first span there is nothing to see: show how to send one
  beforeLoad: async ({ context }) => {
    const onboarding = await context.queryClient.ensureQueryData(onboardingQuery).catch(() => undefined);
    if (onboarding?.hasSpans === false) throw redirect({ to: '/connect' });
  },
  component: lazyRouteComponent(() => import('./pages/overview.tsx'), 'OverviewPage'),
});

const connectRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/connect',
  component: lazyRouteComponent(() => import('./pages/connect.tsx'), 'ConnectPage'),
});

export interface TracesSearch extends RangeSearch {
  filter?: string;
  /** Trace shown in the panel beside the list. */
  open?: string;
  /** Names of the columns shown, joined by commas. */
  columns?: string;
}

export const tracesRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/traces',
  validateSearch: (raw: Raw): TracesSearch => ({
    ...rangeFromSearch(raw),
    ...text(raw, 'filter'),
    ...text(raw, 'open'),
    ...text(raw, 'columns'),
  }),
  component: lazyRouteComponent(() => import('./pages/traces/traces.tsx'), 'TracesPage'),
});

export const SPAN_TABS = ['messages', 'cost', 'attributes', 'events', 'raw'] as const;
export type SpanTab = (typeof SPAN_TABS)[number];

export const traceRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/traces/$traceId',
  validateSearch: (raw: Raw): { span?: string; tab?: SpanTab } => ({
    ...text(raw, 'span'),
    ...oneOf(raw, 'tab', SPAN_TABS),
  }),
  component: lazyRouteComponent(() => import('./pages/trace/trace.tsx'), 'TracePage'),
});

export const COST_GROUPS = ['model', 'service', 'environment', 'endpoint', 'user', 'date'] as const;
export type CostGroup = (typeof COST_GROUPS)[number];

export const costRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/cost',
  validateSearch: (raw: Raw): RangeSearch & { by?: CostGroup } => ({
    ...rangeFromSearch(raw),
    ...oneOf(raw, 'by', COST_GROUPS),
  }),
  component: lazyRouteComponent(() => import('./pages/cost.tsx'), 'CostPage'),
});

export const LATENCY_GROUPS = ['service', 'model', 'endpoint'] as const;
export type LatencyGroup = (typeof LATENCY_GROUPS)[number];

export const latencyRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/latency',
  validateSearch: (raw: Raw): RangeSearch & { by?: LatencyGroup } => ({
    ...rangeFromSearch(raw),
    ...oneOf(raw, 'by', LATENCY_GROUPS),
  }),
  component: lazyRouteComponent(() => import('./pages/latency.tsx'), 'LatencyPage'),
});

const photosRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/photos',
  component: lazyRouteComponent(() => import('./pages/photos/photos.tsx'), 'PhotosPage'),
});

const protectRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/photos/protect',
  component: lazyRouteComponent(() => import('./pages/photos/protect.tsx'), 'ProtectPage'),
});

/** What the workbench can show alone; `GROUPS` of its list says what they mean. */
export const VERDICT_GROUPS = ['authentic', 'derived', 'not-authentic', 'unchecked'] as const;
export type VerdictGroup = (typeof VERDICT_GROUPS)[number];

export const verifyRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/photos/verify',
  validateSearch: (raw: Raw): { photo?: string; verdict?: VerdictGroup } => ({
    ...text(raw, 'photo'),
    ...oneOf(raw, 'verdict', VERDICT_GROUPS),
  }),
  component: lazyRouteComponent(() => import('./pages/photos/verify.tsx'), 'VerifyPage'),
});

const photoKeysRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/photos/keys',
  component: lazyRouteComponent(() => import('./pages/photos/keys.tsx'), 'PhotoKeysPage'),
});

export const photoRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/photos/$photoId',
  component: lazyRouteComponent(() => import('./pages/photos/photo.tsx'), 'PhotoPage'),
});

interface AuditSearch {
  actor?: string;
  action?: string;
  object?: string;
  outcome?: string;
  from?: string;
  to?: string;
}

const settingsRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/settings',
  beforeLoad: () => {
    throw redirect({ to: '/settings/$section', params: { section: 'keys' } });
  },
});

export const sectionRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/settings/$section',
  // of the audit log; other sections have none
  validateSearch: (raw: Raw): AuditSearch => ({
    ...text(raw, 'actor'),
    ...text(raw, 'action'),
    ...text(raw, 'object'),
    ...text(raw, 'outcome'),
    ...text(raw, 'from'),
    ...text(raw, 'to'),
  }),
  component: lazyRouteComponent(() => import('./pages/settings/settings.tsx'), 'SettingsPage'),
});

/** Every other address: said inside the shell, so that one can go on from there. */
const otherRoute = createRoute({ getParentRoute: () => shellRoute, path: '$', component: NotFound });

const routeTree = root.addChildren([
  loginRoute,
  passwordRoute,
  invitationRoute,
  detectRoute,
  shellRoute.addChildren([
    overviewRoute,
    connectRoute,
    tracesRoute,
    traceRoute,
    costRoute,
    latencyRoute,
    photosRoute,
    protectRoute,
    verifyRoute,
    photoKeysRoute,
    photoRoute,
    settingsRoute,
    sectionRoute,
    otherRoute,
  ]),
]);

export function makeRouter(queryClient: QueryClient) {
  return createRouter({
    routeTree,
    context: { queryClient },
    defaultPreload: 'intent',
    parseSearch: (search) => Object.fromEntries(new URLSearchParams(search)),
    stringifySearch: (search: Record<string, unknown>) => {
      const given = Object.entries(search).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
      return given.length === 0 ? '' : `?${new URLSearchParams(given)}`;
    },
  });
}

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof makeRouter>;
  }
}
