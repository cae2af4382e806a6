// Every family, in the order in which they run: those that take something away come last.
import type { Family } from './family.ts';
import { headers, paths, redirects } from './families/addresses.ts';
import { leaks, protection } from './families/answers.ts';
import { cors, csrf, hosts } from './families/browsers.ts';
import { limits, logins, redos } from './families/floods.ts';
import { media, methods } from './families/forms.ts';
import { keys } from './families/keys.ts';
import { matrix } from './families/matrix.ts';
import { sessions } from './families/sessions.ts';
import { tenants } from './families/tenants.ts';
import { forgeries, pictures } from './families/pictures.ts';
import { assignment, cursors, replays } from './families/state.ts';
import { outbound } from './families/outbound.ts';
import { grpc, otlp } from './families/telemetry.ts';
import { json, sql, strings } from './families/texts.ts';
import { tokens } from './families/tokens.ts';
import { bombs, sizes } from './families/weights.ts';
import { slowness, smuggling } from './families/wire.ts';

export const FAMILIES: readonly Family[] = [
  tenants,
  matrix,
  tokens,
  keys,
  sessions,
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
  assignment,
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
  slowness,
  leaks,
];
