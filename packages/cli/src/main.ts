// The command line: finds the command, hands it its arguments, turns its answer into an exit code.
// Exit codes: 0 yes, 1 no, 2 wrong use, 3 cannot answer.
import { parseArgs } from 'node:util';
import { CannotAnswer, UsageError, type Command } from './command.ts';
import { Refused } from './installation.ts';

// Loaded when called, so that `--help` does not wait for a library that only one command needs.
const COMMANDS = new Map<string, () => Promise<{ command: Command }>>([
  ['attack', () => import('./commands/attack.ts')],
  ['audit', () => import('./commands/audit.ts')],
  ['bench', () => import('./commands/bench.ts')],
  ['demo', () => import('./commands/demo.ts')],
  ['inspect', () => import('./commands/inspect.ts')],
  ['log', () => import('./commands/log.ts')],
  ['protect', () => import('./commands/protect.ts')],
  ['test', () => import('./commands/test.ts')],
  ['verify', () => import('./commands/verify.ts')],
]);

// Served by the server's own program; listed here so that one help names everything.
const SERVER_COMMANDS = [
  ['up', 'start everything, installing what is missing'],
  ['backup', 'write one encrypted, consistent file of all data'],
  ['doctor', 'check whether this installation is safe, and how to mend what is not'],
  ['keys', 'list the keys of the installation, or give the watermark new lines'],
  ['prices', 'put another price table in use, from a file or a pinned address'],
  ['tenants', 'list tenants, erase one for ever, check the certificate of that'],
  ['restore', 'read such a file back into an empty installation'],
] as const;

async function main(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(await overview());
    return name === undefined ? 2 : 0;
  }
  const load = COMMANDS.get(name);
  if (load === undefined) {
    process.stderr.write(`lumatrace: there is no command "${name}". \`./lumatrace --help\` lists them.\n`);
    return 2;
  }
  const { command } = await load();
  return runCommand(name, command, rest);
}

async function runCommand(name: string, command: Command, args: readonly string[]): Promise<number> {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: { ...command.options, help: { type: 'boolean', short: 'h' } },
      allowPositionals: true,
    });
    if (values['help'] === true) {
      process.stdout.write(`${command.help.trim()}\n`);
      return 0;
    }
    return await command.run(values as Record<string, string | boolean | undefined>, positionals);
  } catch (error) {
    if (error instanceof UsageError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS')) {
      process.stderr.write(`lumatrace ${name}: ${(error as Error).message}\n\n${command.help.trim()}\n`);
      return 2;
    }
    if (error instanceof CannotAnswer || error instanceof Refused) {
      process.stderr.write(`lumatrace ${name}: ${error.message}\n`);
      return 3;
    }
    throw error;
  }
}

async function overview(): Promise<string> {
  const own = await Promise.all(
    [...COMMANDS].map(async ([name, load]) => [name, (await load()).command.summary] as const),
  );
  const lines = [...SERVER_COMMANDS, ...own].map(([name, summary]) => `  ${name.padEnd(10)}${summary}`);
  return `Usage: ./lumatrace COMMAND [options]      (--help on each)\n\n${lines.join('\n')}\n`;
}

process.exitCode = await main(process.argv.slice(2));
