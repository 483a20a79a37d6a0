import { delimiter, dirname, join } from 'node:path';

import {
  type BuildPhase,
  type BuildPlan,
  explainFailure,
  findProgram,
  type Language,
  nameOfStep,
  runProgram,
} from '#builds';
import { paint, renderDuration } from '#client';
import { CestxError } from '#contracts';

import type { Session } from './session.ts';
import type { WorkFolder } from './work-folder.ts';

/** Lines looked at to say why a step failed, and those of them that are shown. */
const keptLines = 200;
const lastLineCount = 20;

/** Folders of programs: the Node.js that CestX runs on first, then what the user has. */
export async function findPrograms(language: Language, path: string): Promise<string[]> {
  const program = await findProgram(language, path, () => Promise.resolve(true));
  const own = path
    .split(delimiter)
    .filter((folder) => folder !== '' && !folder.endsWith('node_modules/.bin'));
  const node = language === 'node' ? [dirname(process.execPath)] : [];
  return [...new Set([...node, ...own, dirname(program)])];
}

/** Runs the phases of a plan as the user who asks for it, and tells each step. Throws `build-failed` with a plain reason. */
export async function buildHere(
  session: Session,
  plan: BuildPlan,
  work: WorkFolder,
  { programs, verbose }: { programs: readonly string[]; verbose: boolean },
): Promise<void> {
  const { install, build, installed } = await work.prepare(plan, programs.join(delimiter));
  const environment = {
    ...withoutNpm(session.surroundings.environment),
    ...plan.buildEnvironment,
    PATH: [...plan.path.map((folder) => join(work.path, folder)), ...programs].join(delimiter),
  };
  const run = async (phases: readonly BuildPhase[]) => {
    for (const argv of phases.flatMap(({ commands }) => commands))
      await runStep(session, argv, { folder: work.path, environment, verbose });
  };
  await run(install);
  await installed();
  await run(build);
}

async function runStep(
  session: Session,
  argv: readonly string[],
  how: { folder: string; environment: Record<string, string>; verbose: boolean },
): Promise<void> {
  const { signal, stdout } = session.surroundings;
  const step = nameOfStep(argv);
  const began = Date.now();
  const lines: string[] = [];
  const log = (line: string) => {
    lines.push(line);
    if (lines.length > keptLines) lines.shift();
    if (how.verbose) session.tell(paint(`    ${line}`, 'dim', session.style));
  };
  const live = !session.json && !how.verbose && stdout.isTTY === true;
  if (live) stdout.write(`  ${paint(session.style.unicode ? '·' : '.', 'dim', session.style)} ${step}`);
  const exit = await runProgram(argv, { cwd: how.folder, environment: how.environment, log, signal });
  if (live) stdout.write('\r\u001B[2K');
  if (exit !== null) {
    const reason = explainFailure(step, [...lines, exit], exit);
    throw new CestxError(
      'build-failed',
      reason,
      how.verbose ? {} : { lastLines: lines.slice(-lastLineCount) },
    );
  }
  if (session.json) return;
  const took = renderDuration(Date.now() - began).padStart(9);
  session.print(
    `  ${paint(session.style.unicode ? '✓' : '+', 'green', session.style)} ${step.padEnd(16)}${took}`,
  );
}

/** What `npx` and `npm run` say of the project they were called in must not reach the npm of another. */
function withoutNpm(environment: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const foreign =
    /^(npm_(package|lifecycle|command|execpath|node_execpath)|npm_config_(local_prefix|prefix|global_prefix|loglevel)|INIT_CWD|NODE_OPTIONS|VIRTUAL_ENV)/i;
  return Object.fromEntries(
    Object.entries(environment).flatMap(([name, value]) =>
      value === undefined || foreign.test(name) ? [] : [[name, value]],
    ),
  );
}
