import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';

import { harmless, paint, styleFor, type ScaleChange } from '#client';
import { durationSchema } from '#contracts';

import { cancel } from './cancel.command.ts';
import { deploy, type DeployOptions } from './deploy.command.ts';
import { describe } from './describe.command.ts';
import { doctor } from './doctor.command.ts';
import { describeEventVerbs } from './event-verbs.ts';
import { explainError } from './explain-error.ts';
import { invoke, type InvokeOptions } from './invoke.command.ts';
import { list } from './list.command.ts';
import { localRun, type LocalRunOptions } from './local-run.command.ts';
import { logs, type LogsOptions } from './logs.command.ts';
import { capacity } from './machine-stats.command.ts';
import { describeMachineVerbs, type Run } from './machine-verbs.ts';
import { makeProject, starterStyles, starterTemplates, type NewOptions } from './new.command.ts';
import { remove } from './remove.command.ts';
import { scale } from './scale.command.ts';
import { openSession, type CommonOptions, type Session, type Surroundings } from './session.ts';
import { describeTemplateVerbs } from './template-verbs.ts';
import { sbom } from './sbom.command.ts';
import { trace } from './trace.command.ts';

/** Runs one command line. Resolves with the exit code: 0 done, 1 refused or failed, 2 wrong usage. */
export async function runProgram(argv: readonly string[], surroundings: Surroundings): Promise<number> {
  let exitCode = 0;
  const run = async (command: Command, act: (session: Session) => Promise<number>) => {
    exitCode = await act(await openSession(command.optsWithGlobals<CommonOptions>(), surroundings));
  };
  const program = describeProgram(run, surroundings);
  try {
    await program.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (error) {
    // Commander has already said what was wrong with the arguments, or printed the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    return tellError(error, argv.includes('--json'), surroundings);
  }
}

function describeProgram(run: Run, { stdout, stderr }: Surroundings): Command {
  // Understood before the verb as well as behind it.
  const common = (command: Command): Command =>
    command
      .option('--json', 'answer in JSON')
      .option('--url <url>', 'where the gateway is (default: CESTX_URL, else http://localhost:8080)');
  const program = common(new Command('cestx'))
    .description('Deploy, call and watch functions.')
    .exitOverride()
    .showHelpAfterError('`cestx help <command>` shows what it takes.')
    .configureOutput({ writeOut: (text) => stdout.write(text), writeErr: (text) => stderr.write(text) });
  const add = (usage: string, description: string): Command =>
    common(program.command(usage)).description(description);

  add('new <name>', 'write a small project to begin with, with tests, into a new folder')
    .addOption(
      new Option('-t, --template <template>', 'what it is written in')
        .choices(starterTemplates)
        .default('node'),
    )
    .addOption(
      new Option('--style <style>', 'a program on $PORT, or a function for the Functions Framework')
        .choices(starterStyles)
        .default('app'),
    )
    .action((name: string, options: NewOptions, command: Command) =>
      run(command, (session) => makeProject(session, name, options)),
    );
  add('local-run [folder]', 'build a folder and run it here, without the platform')
    .option('-p, --port <port>', 'listen there (default: one that is free)', readPort)
    .option('-v, --verbose', 'show the lines of the build')
    .action((folder: string | undefined, options: LocalRunOptions, command: Command) =>
      run(command, (session) => localRun(session, folder ?? '.', options)),
    );
  add('deploy [folder]', 'build a folder, here or in a git repository, and make it live')
    .option('-v, --verbose', 'show the lines of the build')
    .option('--git <url>', 'the https address of a repository that anybody may read; the folder is one in it')
    .option('--ref <ref>', 'its branch, tag or whole commit hash')
    .option('--name <name>', 'what the function is called, where there is no function.yaml')
    .action((folder: string | undefined, options: DeployOptions, command: Command) =>
      run(command, (session) => deploy(session, folder, options)),
    );
  add('cancel <deployment>', 'have a deployment that is not live yet undone').action(
    (id: string, _options: CommonOptions, command: Command) => run(command, (session) => cancel(session, id)),
  );
  add('invoke <name>', 'call a function; its answer goes to stdout')
    .option('-d, --data <data>', 'the body: text, @file, or @- for stdin')
    .option('-X, --request <method>', 'the method (default: POST with a body, else GET)')
    .option('-H, --header <header>', "a header, 'Name: value'; may be repeated", collect)
    .option('--path <path>', 'the path behind the name', '/')
    .action((name: string, options: InvokeOptions, command: Command) =>
      run(command, (session) => invoke(session, name, options)),
    );
  add('logs <name>', "show a function's log")
    .option('-f, --follow', 'go on with what comes')
    .option('--since <time>', 'from then on: a time, or how long ago (5m, 1h)')
    .option('--tail <lines>', 'only the last lines', readCount)
    .option('--machine <id>', 'of one machine')
    .action((name: string, options: LogsOptions & CommonOptions, command: Command) =>
      run(command, (session) => logs(session, name, options)),
    );
  add('list', 'show all functions').action((_options: CommonOptions, command: Command) => run(command, list));
  add('describe <name>', 'show one function: machines, revisions, last deployment').action(
    (name: string, _options: CommonOptions, command: Command) =>
      run(command, (session) => describe(session, name)),
  );
  add('remove <name>', 'take a function and everything it has away').action(
    (name: string, _options: CommonOptions, command: Command) =>
      run(command, (session) => remove(session, name)),
  );
  add('scale <name>', 'show or change how many machines a function has, and when they rest')
    .option('--min <machines>', 'keep so many running', readCount)
    .option('--max <machines>', 'never more than so many', readCount)
    .option('--target <calls>', 'calls at a time for one machine; `none`: by its concurrency', readTarget)
    .option('--window <duration>', 'average calls over so long', readDuration)
    .option('--freeze-after <duration>', 'freeze a machine nobody called for so long', readDuration)
    .option('--stop-after <duration>', 'stop it after so long', readDuration)
    .option('--remove-after <duration>', 'remove it after so long', readDuration)
    .action((name: string, options: ScaleChange & CommonOptions, command: Command) => {
      const { json: _json, url: _url, ...change } = options;
      return run(command, (session) => scale(session, name, change));
    });
  add('sbom <name>', 'print what a revision is made of, as CycloneDX JSON')
    .option('--revision <revision>', 'this one, such as 3, v3 or hello-v3; else the live one')
    .action((name: string, options: { revision?: string } & CommonOptions, command: Command) =>
      run(command, (session) => sbom(session, name, options.revision)),
    );
  add('trace <id>', 'show every hop of a trace; takes a trace id or a traceparent')
    .option('--queries', 'show each database query')
    .action((id: string, options: { queries?: boolean } & CommonOptions, command: Command) =>
      run(command, (session) => trace(session, id, options)),
    );
  describeMachineVerbs(
    program.command('machines').description('look at machines one by one, and wait for them'),
    common,
    run,
    readCount,
  );
  describeTemplateVerbs(
    program.command('templates').description('recipes that turn source into functions, and your own'),
    common,
    run,
  );
  describeEventVerbs(program, common, run, readCount);
  add('capacity', 'show what the host may give to machines, and what is given').action(
    (_options: CommonOptions, command: Command) => run(command, capacity),
  );
  add('doctor', 'look at what is needed and say what to do').action(
    (_options: CommonOptions, command: Command) => run(command, doctor),
  );
  return program;
}

function tellError(error: unknown, json: boolean, { stderr, environment }: Surroundings): number {
  const { exitCode, ...explanation } = explainError(error);
  if (json) stderr.write(`${JSON.stringify(explanation)}\n`);
  else {
    const style = styleFor(stderr, environment);
    stderr.write(`${paint('error:', 'red', style)} ${explanation.message}\n`);
    for (const line of explanation.lastLines ?? [])
      stderr.write(`  ${paint(style.unicode ? '│' : '|', 'dim', style)} ${harmless(line)}\n`);
    if (explanation.help) stderr.write(`${explanation.help}\n`);
    if (explanation.traceId) stderr.write(`${paint(`cestx trace ${explanation.traceId}`, 'dim', style)}\n`);
  }
  return exitCode;
}

function collect(value: string, before: string[] = []): string[] {
  return [...before, value];
}

function readCount(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}

function readPort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port < 1 || port > 65_535)
    throw new InvalidArgumentError('It must be a number between 1 and 65535.');
  return port;
}

function readTarget(text: string): number | null {
  if (text === 'none') return null;
  if (!(Number(text) > 0)) throw new InvalidArgumentError('It must be a number of calls, or `none`.');
  return Number(text);
}

function readDuration(text: string): string {
  const { error } = durationSchema.safeParse(text);
  if (error) throw new InvalidArgumentError(`It ${error.issues[0]?.message}.`);
  return text;
}
