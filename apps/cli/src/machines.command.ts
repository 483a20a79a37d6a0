import { paint, renderFacts, renderTable, type Machine } from '#client';

import type { Session } from './session.ts';

/** Every machine there is, or those of one function. */
export async function listMachines(session: Session, options: { function?: string }): Promise<number> {
  const items: Machine[] = [];
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<typeof session.client.listMachines>> = await session.client.listMachines({
      ...options,
      ...(cursor === null ? {} : { cursor }),
    });
    items.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== null);
  if (session.json) session.printJson({ items });
  else if (items.length === 0)
    session.print('There is no machine. A function gets one when it is deployed, and when it is called.');
  else
    session.print(
      renderTable(
        [
          { title: 'machine', value: (machine: Machine) => machine.id },
          { title: 'function', value: (machine) => machine.function },
          { title: 'revision', value: (machine) => machine.revision },
          { title: 'state', value: (machine) => machine.state },
          { title: 'since', value: (machine) => withoutMs(machine.since) },
          { title: 'address', value: (machine) => machine.address ?? '-' },
          { title: 'reason', value: (machine) => machine.reason ?? '-' },
        ],
        items,
        session.style,
      ),
    );
  return 0;
}

export async function describeMachine(session: Session, id: string): Promise<number> {
  const machine = await session.client.getMachine(id);
  if (session.json) session.printJson(machine);
  else
    session.print(
      renderFacts(
        [
          ['machine', machine.id],
          ['function', machine.function],
          ['revision', machine.revision],
          ['state', machine.state],
          ['since', machine.since],
          ['reason', machine.reason],
          ['address', machine.address],
          ['driver', machine.driver],
          ['created', machine.createdAt],
          ['expires', machine.expiresAt],
        ],
        session.style,
      ),
    );
  return 0;
}

const resting = { start: 'running', thaw: 'running', freeze: 'frozen', stop: 'stopped' } as const;
export type MoveVerb = keyof typeof resting;

/** Brings a machine into another tier. One that is called meanwhile stays up, which is told as a failure. */
export async function moveMachine(session: Session, id: string, verb: MoveVerb): Promise<number> {
  const machine = await session.client.moveMachine(id, verb);
  tellState(session, machine);
  if (machine.state === resting[verb]) return 0;
  session.tell('It is in use; try again when its calls are over.');
  return 1;
}

/** Waits until the machine is in the state; what the gateway refuses with says in which it is instead. */
export async function waitForMachine(
  session: Session,
  id: string,
  options: { state: Machine['state']; timeout: string },
): Promise<number> {
  tellState(session, await session.client.waitForMachine(id, options));
  return 0;
}

export async function removeMachine(session: Session, id: string): Promise<number> {
  tellState(session, await session.client.removeMachine(id));
  return 0;
}

function tellState(session: Session, machine: Machine): void {
  if (session.json) return session.printJson(machine);
  const at = machine.address ? ` at ${machine.address}` : '';
  session.print(
    `${machine.id} of ${machine.function} is ${paint(machine.state, 'green', session.style)}${at}`,
  );
}

function withoutMs(time: string): string {
  return time.replace(/\.\d+Z$/, 'Z');
}
