// npm test: everything a test needs, then unit, int and e2e. Says what was skipped; in CI (CI=true) a skip is a failure.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, relative } from 'node:path';
import { bootstrap, root } from './bootstrap.mjs';
import { fail, say } from './say.mjs';

async function main(args) {
  const node = await bootstrap();
  const dir = await mkdtemp(join(tmpdir(), 'cestx-vitest-'));
  try {
    const file = join(dir, 'report.json');
    const code = await vitest(node, file, args);
    const report = await readFile(file, 'utf8').then(JSON.parse, () => undefined);
    if (!report) {
      say('cestx: vitest ended without a report');
      process.exitCode = 1;
      process.stdout.write('0 passed, 1 failed\n');
      return;
    }
    summarise(report, code);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function vitest(node, file, args) {
  const child = spawn(
    node,
    [
      join(root, 'node_modules/vitest/vitest.mjs'),
      'run',
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${file}`,
      ...args,
    ],
    // What tests start, a built platform or npm in a build, finds the same Node.
    {
      cwd: root,
      stdio: 'inherit',
      env: { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH}` },
    },
  );
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  const [code] = await once(child, 'exit');
  return code ?? 1;
}

function summarise(report, code) {
  const skipped = report.testResults.flatMap(({ name, assertionResults }) =>
    assertionResults
      .filter(({ status }) => !['passed', 'failed'].includes(status))
      .map(({ fullName }) => `${relative(root, name)}: ${fullName}`),
  );
  // A file that cannot even be loaded has no tests to count as failed.
  const brokenFiles = report.testResults.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
  ).length;
  const inCi = process.env.CI === 'true';
  if (skipped.length > 0) {
    say(`\n${'='.repeat(20)} ${skipped.length} TESTS WERE SKIPPED ${'='.repeat(20)}`);
    for (const line of skipped) say(`  ${line}`);
    say(
      inCi
        ? 'In CI that is a failure.'
        : 'They need a Docker engine (scripts/start-docker.sh) and the base image (npm run images); what they guard was not checked.',
    );
  }
  let failed = report.numFailedTests + brokenFiles + (inCi ? skipped.length : 0);
  // An error outside any test, such as an unhandled rejection.
  if (failed === 0 && code !== 0) failed = 1;
  process.exitCode = failed > 0 ? 1 : 0;
  process.stdout.write(`${report.numPassedTests} passed, ${failed} failed\n`);
}

main(process.argv.slice(2)).catch((error) => {
  fail(error);
  process.stdout.write('0 passed, 1 failed\n');
});
