// What a command is, and the two ways in which it says that it cannot do what was asked.
import type { ParseArgsConfig } from 'node:util';

/** One command: a line for the list, its help, its options, and what it does. */
export interface Command {
  summary: string;
  help: string;
  options: NonNullable<ParseArgsConfig['options']>;
  run(values: Record<string, string | boolean | undefined>, positionals: readonly string[]): Promise<number>;
}

/** Thrown for wrong use; printed with the command's help, exit code 2. */
export class UsageError extends Error {}

/** Thrown when an answer cannot be had (no server, no credentials); exit code 3. */
export class CannotAnswer extends Error {}
