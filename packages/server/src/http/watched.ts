// Counts what routes refuse and export, for whoever watches: wraps handlers, and changes no answer.
import type { Watch } from '../isolation/watch.ts';
import { asProblem } from './errors.ts';
import type { Route, RouteContext } from './route.ts';

type Context = RouteContext<unknown, unknown, unknown>;

/** A 404 with an id in the path is all that a foreign id shows: row level security does not know that it is another's. */
export function watched(routes: readonly Route[], watch: Pick<Watch, 'count'>): Route[] {
  return routes.map((route) => {
    const handle = route.handle as (context: Context) => Promise<Response>;
    return {
      ...route,
      async handle(context: Context) {
        try {
          return exported(route, context, await handle.call(route, context), watch);
        } catch (error) {
          refused(route, context, asProblem(error).status, watch);
          throw error;
        }
      },
    } as Route;
  });
}

function refused(route: Route, { principal, source }: Context, status: number, watch: Pick<Watch, 'count'>): void {
  const isLogin = route.limit === 'login';
  if (isLogin && (status === 401 || status === 429)) watch.count('login.failures', `source:${source}`);
  if (status === 404 && route.path.includes('{')) {
    // a public route has none
    const who = principal as Context['principal'] | undefined;
    watch.count('foreign.ids', who?.subject ?? `source:${source}`, 1, who?.tenantId);
  }
}

const LINE_FEED = 0x0a;

/** Lines are counted as they leave: an export that is broken off has shown what it has shown. */
function exported(route: Route, context: Context, response: Response, watch: Pick<Watch, 'count'>): Response {
  if (!route.path.endsWith('/export') || response.body === null) return response;
  const { subject, tenantId } = context.principal;
  watch.count('export.requests', subject, 1, tenantId);
  const counting = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      let lines = 0;
      for (const byte of chunk) if (byte === LINE_FEED) lines++;
      if (lines > 0) watch.count('export.lines', subject, lines, tenantId);
      controller.enqueue(chunk);
    },
  });
  return new Response(response.body.pipeThrough(counting), response);
}
