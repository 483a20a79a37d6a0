import { Option, type Command } from 'commander';

import type { Machine } from '#client';
import { machineStates } from '#contracts';

import { machineStats, type StatsOptions } from './machine-stats.command.ts';
import {
  describeMachine,
  listMachines,
  moveMachine,
  removeMachine,
  waitForMachine,
  type MoveVerb,
} from './machines.command.ts';
import type { CommonOptions, Session } from './session.ts';

export type Run = (command: Command, act: (session: Session) => Promise<number>) => Promise<void>;

const moves: [MoveVerb, string][] = [
  ['start', 'have a machine run, whatever tier it rests in'],
  ['freeze', 'freeze a machine; it keeps its memory and is back in milliseconds'],
  ['thaw', 'the same as start'],
  ['stop', 'stop a machine; it is started again when it is called'],
];

/** The verbs behind `cestx machines`. */
export function describeMachineVerbs(
  group: Command,
  common: (command: Command) => Command,
  run: Run,
  readCount: (text: string) => number,
): void {
  const add = (usage: string, description: string): Command =>
    common(group.command(usage)).description(description);

  add('list', 'show all machines')
    .option('--function <name>', 'of one function')
    .action((options: { function?: string } & CommonOptions, command: Command) =>
      run(command, (session) =>
        listMachines(session, options.function === undefined ? {} : { function: options.function }),
      ),
    );
  add('describe <id>', 'show one machine').action((id: string, _options: CommonOptions, command: Command) =>
    run(command, (session) => describeMachine(session, id)),
  );
  for (const [verb, description] of moves)
    add(`${verb} <id>`, description).action((id: string, _options: CommonOptions, command: Command) =>
      run(command, (session) => moveMachine(session, id, verb)),
    );
  add('remove <id>', 'take one machine away; its function gets another when it is called').action(
    (id: string, _options: CommonOptions, command: Command) =>
      run(command, (session) => removeMachine(session, id)),
  );
  add('wait <id>', 'wait until a machine is in a state; exit code 1 when it is not in time')
    .addOption(
      new Option('--state <state>', 'the state to wait for').choices(machineStates).default('running'),
    )
    .option('--timeout <duration>', 'at most 1m', '30s')
    .action((id: string, options: { state: Machine['state']; timeout: string }, command: Command) =>
      run(command, (session) =>
        waitForMachine(session, id, { state: options.state, timeout: options.timeout }),
      ),
    );
  add('stats <id>', 'show what a machine used')
    .option('-f, --follow', 'go on with what comes')
    .option('--since <time>', 'from then on: a time, or how long ago (5m, 1h)')
    .option('--tail <samples>', 'only the last ones', readCount, 20)
    .action((id: string, options: StatsOptions & CommonOptions, command: Command) =>
      run(command, (session) => machineStats(session, id, options)),
    );
}
