import { InvalidArgumentError, Option, type Command } from 'commander';

import { deadLetterReasons } from '#contracts';

import {
  listDeadLetters,
  purgeDeadLetters,
  redriveDeadLetters,
  showDeadLetter,
  type ManyOptions,
} from './dead-letters.command.ts';
import { publishEvent, type PublishOptions } from './events.command.ts';
import type { Run } from './machine-verbs.ts';
import { previewSchedule } from './schedules.command.ts';
import type { CommonOptions } from './session.ts';
import { describeTriggers, listTriggers, setPaused } from './triggers.command.ts';

/** The verbs behind `cestx events`, `triggers`, `dead-letters` and `schedules`. */
export function describeEventVerbs(
  program: Command,
  common: (command: Command) => Command,
  run: Run,
  readCount: (text: string) => number,
): void {
  const events = program.command('events').description('publish events');
  common(events.command('publish <type>'))
    .description('publish a CloudEvent; its type is its topic, such as orders.created')
    .option('-d, --data <data>', 'the body: text, @file, or - for stdin')
    .option('--content-type <type>', 'what the body is (default: told by the body)')
    .option('--source <source>', 'where it comes from', 'cestx-cli')
    .option('--subject <subject>', 'what it is about')
    .option('--id <id>', 'one with the same source and id is stored once (default: a random one)')
    .option('--attribute <name=value>', 'an attribute of your own; may be repeated', collect)
    .action((type: string, options: PublishOptions & CommonOptions, command: Command) =>
      run(command, (session) => publishEvent(session, type, options)),
    );
  describeTriggerVerbs(program, common, run);
  describeDeadLetterVerbs(program, common, run, readCount);
  const schedules = program.command('schedules').description('look at schedules before they are used');
  common(schedules.command('preview <schedule>'))
    .description('show the next five times, for cron with five or six fields, or @every 5m')
    .option('--timezone <zone>', 'the clock it goes by, such as Europe/Istanbul (default: UTC)')
    .action((schedule: string, options: { timezone?: string } & CommonOptions, command: Command) =>
      run(command, (session) => previewSchedule(session, schedule, options)),
    );
}

function describeTriggerVerbs(program: Command, common: (command: Command) => Command, run: Run): void {
  const group = program.command('triggers').description('what invokes functions besides calls');
  common(group.command('list'))
    .description('show all triggers, and how many events wait')
    .option('--function <name>', 'of one function')
    .action((options: { function?: string } & CommonOptions, command: Command) =>
      run(command, (session) =>
        listTriggers(session, options.function === undefined ? {} : { function: options.function }),
      ),
    );
  common(group.command('describe <function>'))
    .description('show the triggers of one function, with all their settings')
    .action((name: string, _options: CommonOptions, command: Command) =>
      run(command, (session) => describeTriggers(session, name)),
    );
  for (const [verb, description] of [
    ['pause', 'have its events wait'],
    ['resume', 'have it go on'],
  ] as const)
    common(group.command(`${verb} <function> <trigger>`))
      .description(description)
      .action((name: string, trigger: string, _options: CommonOptions, command: Command) =>
        run(command, (session) => setPaused(session, name, trigger, verb === 'pause')),
      );
}

function describeDeadLetterVerbs(
  program: Command,
  common: (command: Command) => Command,
  run: Run,
  readCount: (text: string) => number,
): void {
  const group = program.command('dead-letters').description('events that failed for good');
  const filtered = (usage: string, description: string): Command =>
    common(group.command(usage))
      .description(description)
      .option('--function <name>', 'of one function')
      .addOption(new Option('--reason <reason>', 'that died of it').choices(deadLetterReasons));
  filtered('list', 'show the newest')
    .option('--limit <count>', 'at most so many, up to 500', readCount, 50)
    .action((options: Parameters<typeof listDeadLetters>[1] & CommonOptions, command: Command) => {
      const { function: name, reason, limit } = options;
      return run(command, (session) => listDeadLetters(session, { function: name, reason, limit }));
    });
  common(group.command('show <id>'))
    .description('show one: why it died, its attributes and headers, its body, the last answer')
    .action((id: string, _options: CommonOptions, command: Command) =>
      run(command, (session) => showDeadLetter(session, id)),
    );
  filtered('redrive', 'hand them to their functions again, those that match everything named')
    .option('--id <id>', 'this one')
    .option('--all', 'all of them')
    .option('--rate <count>', 'so many a second (default: 100)', readRate)
    .action((options: ManyOptions & { rate?: number } & CommonOptions, command: Command) =>
      run(command, (session) => redriveDeadLetters(session, options)),
    );
  filtered('purge', 'delete them for good, those that match everything named')
    .option('--id <id>', 'this one')
    .option('--all', 'all of them')
    .action((options: ManyOptions & CommonOptions, command: Command) =>
      run(command, (session) => purgeDeadLetters(session, options)),
    );
}

function collect(value: string, before: string[] = []): string[] {
  return [...before, value];
}

function readRate(text: string): number {
  const rate = Number(text);
  if (!(rate >= 0.1 && rate <= 10_000)) throw new InvalidArgumentError('It must be between 0.1 and 10000.');
  return rate;
}
