// Every family, in the order in which they run. Those that make keys come before those that fill the tenant with texts,
// for it may have 500; those that hold connections and memory come last.
import type { Family } from './family.ts';
import { headers, paths, redirects } from './families/addresses.ts';
import { leaks, protection } from './families/answers.ts';
import { cors, csrf, hosts } from './families/browsers.ts';
import { entrances, invitations } from './families/entrances.ts';
import { erasures } from './families/erasures.ts';
import { limits, logins, redos } from './families/floods.ts';
import { media, methods } from './families/forms.ts';
import { keys } from './families/keys.ts';
import { matrix } from './families/matrix.ts';
import { sessions } from './families/sessions.ts';
import { tenants } from './families/tenants.ts';
import { forgeries, pictures } from './families/pictures.ts';
import { assignment, cursors, replays } from './families/state.ts';
import { schemathesis, slowhttptest, sqlmap } from './families/others.ts';
import { outage } from './families/outage.ts';
import { outbound } from './families/outbound.ts';
import { grpc, otlp } from './families/telemetry.ts';
import { pooler } from './families/pooler.ts';
import { json, sql, strings } from './families/texts.ts';
import { tokens } from './families/tokens.ts';
import { bombs, sizes } from './families/weights.ts';
import { slowness, smuggling } from './families/wire.ts';

export const FAMILIES: readonly Family[] = [
  tenants,
  matrix,
  assignment,
  tokens,
  keys,
  sessions,
  invitations,
  entrances,
  csrf,
  cors,
  hosts,
  methods,
  media,
  json,
  strings,
  sql,
  paths,
  headers,
  redirects,
  cursors,
  replays,
  protection,
  limits,
  logins,
  redos,
  otlp,
  grpc,
  outbound,
  pictures,
  forgeries,
  smuggling,
  sizes,
  bombs,
  schemathesis,
  sqlmap,
  slowness,
  slowhttptest,
  pooler,
  outage,
  erasures,
  leaks,
];
