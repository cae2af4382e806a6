// The black-box harness of Cognitive-Proof/c2pa-soft-binding-server against a started installation: its tests, unmodified.
import { execFile } from 'node:child_process';
import { cpSync, existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { progress } from '../report.ts';
import { folderOf, notRun, type Suite } from './folders.ts';

const run = promisify(execFile);
const NAME = 'c2pa-soft-binding-server';
const LIMIT_MS = 5 * 60_000;

interface JestReport {
  testResults: { assertionResults: { status: string; fullName: string; failureMessages: string[] }[] }[];
}

/** Tests of capabilities that an installation does not claim are skipped by the harness itself, and are no cases. */
export async function resolutionHarness(url: string, apiKey: string): Promise<Suite> {
  const source = folderOf(`${NAME}/conformance`);
  if (typeof source !== 'string') return notRun(NAME, source.notRun);
  const folder = await mkdtemp(join(tmpdir(), 'lumatrace-harness-'));
  try {
    cpSync(source, folder, { recursive: true });
    progress(`installing the harness into ${folder}`);
    await run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--silent'], {
      cwd: folder,
      timeout: LIMIT_MS,
    });
    const capabilities = await (await fetch(`${url}/c2pa/services/capabilities`)).text();
    const report = join(folder, 'report.json');
    await run(
      join(folder, 'node_modules', '.bin', 'jest'),
      ['--config', 'jest.conformance.config.js', '--json', '--outputFile', report],
      {
        cwd: folder,
        timeout: LIMIT_MS,
        env: {
          ...process.env,
          CONFORMANCE_BASE_URL: `${url}/c2pa`,
          CONFORMANCE_TOKEN: apiKey,
          CONFORMANCE_CAPABILITIES: capabilities,
        },
      },
    ).catch((error: unknown) => {
      // jest ends with 1 when a test failed: its report says which
      if (!existsSync(report)) throw error;
    });
    const { testResults } = JSON.parse(await readFile(report, 'utf8')) as JestReport;
    const results = testResults.flatMap(({ assertionResults }) => assertionResults);
    const cases = results.filter(({ status }) => status === 'passed' || status === 'failed');
    const failed = cases.filter(({ status }) => status === 'failed');
    return {
      name: NAME,
      cases: cases.length,
      asExpected: cases.length - failed.length,
      explained: 0,
      others: failed.map(({ fullName, failureMessages }) => `${fullName}: ${failureMessages[0]?.slice(0, 200) ?? ''}`),
    };
  } catch (error) {
    return notRun(NAME, `it could not be run: ${String(error).slice(0, 300)}`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
