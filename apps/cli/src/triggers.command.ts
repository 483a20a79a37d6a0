import { ProblemError, renderFacts, renderTable, type Trigger } from '#client';

import type { Session } from './session.ts';

const hint = 'A function gets them by `triggers:` in its function.yaml.';

/** Every trigger there is, or those of one function. */
export async function listTriggers(session: Session, options: { function?: string }): Promise<number> {
  const { items } = await session.client.listTriggers(options);
  if (session.json) session.printJson({ items });
  else if (items.length === 0) session.print(`There is no trigger. ${hint}`);
  else {
    const columns = [
      { title: 'function', value: (trigger: Trigger) => trigger.function },
      { title: 'trigger', value: (trigger: Trigger) => trigger.id },
      { title: 'by', value: whatBy },
      { title: 'state', value: (trigger: Trigger) => trigger.state },
      { title: 'waiting', value: ({ waiting }: Trigger) => count(waiting), align: 'right' as const },
      { title: 'working', value: ({ working }: Trigger) => count(working), align: 'right' as const },
      { title: 'next', value: ({ nextAt }: Trigger) => nextAt?.replace(/\.\d+Z$/, 'Z') ?? '-' },
    ];
    session.print(renderTable(columns, items, session.style));
  }
  return 0;
}

/** Everything about the triggers of one function. */
export async function describeTriggers(session: Session, name: string): Promise<number> {
  const { items } = await session.client.listTriggers({ function: name });
  // Without any it may be unknown, which is said otherwise.
  if (items.length === 0) await session.client.getFunction(name);
  if (session.json) session.printJson({ items });
  else if (items.length === 0) session.print(`${name} has no trigger. ${hint}`);
  else session.print(items.map((trigger) => renderFacts(factsOf(trigger), session.style)).join('\n\n'));
  return 0;
}

/** Has a trigger hand nothing over, or go on. */
export async function setPaused(
  session: Session,
  name: string,
  trigger: string,
  paused: boolean,
): Promise<number> {
  const { client } = session;
  const change = paused ? client.pauseTrigger : client.resumeTrigger;
  const done = await change(name, trigger).catch((error: unknown) => {
    if (!(error instanceof ProblemError) || error.code !== 'not-found') throw error;
    const { code, status, message: detail } = error;
    const help = 'Check the function and the trigger; `cestx triggers list` shows both.';
    throw new ProblemError({ code, status, detail, help }, { cause: error });
  });
  if (session.json) session.printJson({ function: name, trigger, ...done });
  else if (done.paused)
    session.print(
      `Paused. Its events wait, ticks of a schedule are left out; \`${resumeLine(name, trigger)}\` goes on.`,
    );
  else session.print('Resumed.');
  return 0;
}

function resumeLine(name: string, trigger: string): string {
  return `cestx triggers resume ${name} ${trigger}`;
}

function factsOf(trigger: Trigger): (readonly [string, string | null])[] {
  const { settings } = trigger;
  const about: (readonly [string, string | null])[] =
    settings.kind === 'schedule'
      ? [
          ['schedule', settings.schedule],
          ['time zone', settings.timezone],
          ['next', trigger.nextAt],
          ['overlap', settings.overlap],
          ['missed', settings.missed],
        ]
      : [
          ['stream', settings.kind === 'stream' ? settings.stream : null],
          ['subjects', settings.subject.join(', ')],
          [
            'began at',
            typeof settings.deliver === 'string' ? settings.deliver : JSON.stringify(settings.deliver),
          ],
          ['filter', settings.filter ? JSON.stringify(settings.filter) : null],
          [
            'batch',
            settings.batch ? `up to ${settings.batch.size} within ${settings.batch.within} ms` : null,
          ],
          ['in order of', settings.orderBy ?? null],
          ['waiting', count(trigger.waiting)],
          ['working', count(trigger.working)],
        ];
  return [
    ['trigger', trigger.id],
    ['function', trigger.function],
    ['state', trigger.state],
    ['reason', trigger.reason],
    ...about,
    ['since', trigger.createdAt],
  ];
}

function whatBy({ settings }: Trigger): string {
  if (settings.kind === 'schedule') return `${settings.schedule} (${settings.timezone})`;
  const subjects = settings.subject.join(', ');
  return settings.kind === 'stream' ? `stream ${settings.stream}: ${subjects}` : subjects;
}

function count(value: number | null): string {
  return value === null ? '-' : String(value);
}
