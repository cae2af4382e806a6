// Every family, in the order in which they run: those that take something away come last.
import type { Family } from './family.ts';
import { matrix } from './families/matrix.ts';
import { tenants } from './families/tenants.ts';
import { tokens } from './families/tokens.ts';

export const FAMILIES: readonly Family[] = [tenants, matrix, tokens];
