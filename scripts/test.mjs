// npm test: everything a test needs, then unit, int and e2e. Says what was skipped; in CI (CI=true) a skip is a failure.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';

import { bootstrap, root } from './bootstrap.mjs';
import { fail, say } from './say.mjs';

/** One after the other, each with a report of its own: what was counted stays counted when a later one is cut short. */
const projects = ['unit', 'int', 'e2e'];
const inCi = process.env.CI === 'true';

async function main(args) {
  const node = await bootstrap();
  const dir = await mkdtemp(join(tmpdir(), 'cestx-vitest-'));
  const total = { passed: 0, failed: 0, failures: [], skipped: [] };
  try {
    for (const project of projects) {
      const file = join(dir, `${project}.json`);
      const code = await vitest(node, project, file, args);
      const report = await readFile(file, 'utf8').then(JSON.parse, () => undefined);
      if (!report) say(`cestx: the ${project} tests ended without a report (exit code ${code})`);
      add(total, report, code);
      if (asked) break;
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
  tell(total);
}

let running;
/** The signal that ends us: the tests that run are told, and those that have not begun are left out. */
let asked;
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    asked = signal;
    running?.kill(signal);
  });
}

async function vitest(node, project, file, args) {
  running = spawn(
    node,
    [
      join(root, 'node_modules/vitest/vitest.mjs'),
      'run',
      `--project=${project}`,
      // A story takes minutes: each of its tests is told when it ends, not only when all have.
      `--reporter=${project === 'e2e' ? 'verbose' : 'default'}`,
      '--reporter=json',
      `--outputFile.json=${file}`,
      '--passWithNoTests',
      ...args,
    ],
    // What tests start, a built platform or npm in a build, finds the same Node.
    {
      cwd: root,
      stdio: 'inherit',
      env: { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH}` },
    },
  );
  const [code] = await once(running, 'exit');
  return code ?? 1;
}

function add(total, report, code) {
  const skipped = testsOf(report, ({ status }) => !['passed', 'failed'].includes(status));
  // A file that cannot even be loaded has no tests to count as failed.
  const brokenFiles = (report?.testResults ?? [])
    .filter(
      ({ status, assertionResults }) =>
        status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
    )
    .map(({ name, message }) => `${relative(root, name)}: ${firstLine(message)}`);
  let failed = (report?.numFailedTests ?? 0) + brokenFiles.length;
  // An error outside any test, such as an unhandled rejection, or no report at all.
  if (failed === 0 && (code !== 0 || !report)) failed = 1;
  total.passed += report?.numPassedTests ?? 0;
  total.failed += failed;
  total.failures.push(...testsOf(report, ({ status }) => status === 'failed'), ...brokenFiles);
  total.skipped.push(...skipped);
}

/** `file: name of the test`, of those that are asked for, and what was wrong. */
function testsOf(report, wanted) {
  return (report?.testResults ?? []).flatMap(({ name, assertionResults }) =>
    assertionResults
      .filter(wanted)
      .map(({ fullName, failureMessages }) =>
        [`${relative(root, name)}: ${fullName}`, firstLine(failureMessages?.[0])].filter(Boolean).join(': '),
      ),
  );
}

function firstLine(text) {
  return stripVTControlCharacters(text ?? '')
    .trim()
    .split('\n', 1)[0];
}

function tell({ passed, failed, failures, skipped }) {
  // Far above, where each was told at length, they are hard to find.
  for (const line of failures) say(`failed: ${line}`);
  if (skipped.length > 0) {
    say(`\n${'='.repeat(20)} ${skipped.length} TESTS WERE SKIPPED ${'='.repeat(20)}`);
    for (const line of skipped) say(`  ${line}`);
    say(
      inCi
        ? 'In CI that is a failure.'
        : 'They need a Docker engine (scripts/start-docker.sh) and the base image (npm run images); what they guard was not checked.',
    );
  }
  const counted = failed + (inCi ? skipped.length : 0);
  process.exitCode = counted > 0 ? 1 : 0;
  process.stdout.write(`${passed} passed, ${counted} failed\n`);
}

main(process.argv.slice(2)).catch((error) => {
  fail(error);
  process.stdout.write('0 passed, 1 failed\n');
});
