import { paint, renderFacts, renderTable, type ScaleChange, type ScaleDecision } from '#client';

import { follow } from './deploy.command.ts';
import type { Session } from './session.ts';

/** Shows how a function scales and rests, and why it has the machines it has; with options it changes that first. */
export async function scale(session: Session, name: string, change: ScaleChange): Promise<number> {
  if (Object.keys(change).length > 0) {
    const { deploymentId } = await session.client.changeScale(name, change);
    const ended = await follow(session, deploymentId);
    if (ended.state !== 'live') {
      if (session.json) session.printJson(ended);
      return 1;
    }
  }
  const { client, style } = session;
  const [about, machines, decisions] = await Promise.all([
    client.getFunction(name),
    client.listMachines({ function: name }),
    client.listScaleDecisions(name, { limit: 10 }),
  ]);
  const running = machines.items.filter(({ state }) => state === 'running').length;
  if (session.json) {
    session.printJson({ function: name, scale: about.scale, running, decisions: decisions.items });
    return 0;
  }
  const settings = about.scale;
  session.print(
    settings
      ? renderFacts(
          [
            ['running', `${running} (min ${settings.min}, max ${settings.max})`],
            ['by', byWhat(settings)],
            ['window', duration(settings.window)],
            ['freezes after', duration(settings.freezeAfter)],
            ['stops after', duration(settings.stopAfter)],
            ['is removed after', duration(settings.removeAfter)],
            ['expires after', settings.expiresAfter === undefined ? null : duration(settings.expiresAfter)],
          ],
          style,
        )
      : `${name} is not live yet.`,
  );
  session.print(`\n${paint('decisions', 'bold', style)}`);
  session.print(decisions.items.length > 0 ? decisionTable(decisions.items, session) : 'none yet');
  return 0;
}

function byWhat({ target, steps }: { target?: number | undefined; steps?: unknown }): string {
  if (steps) return 'calls at a time, by steps';
  return target === undefined ? 'calls at a time' : `calls at a time, ${target} each`;
}

function decisionTable(decisions: ScaleDecision[], session: Session): string {
  return renderTable(
    [
      { title: 'time', value: (decision: ScaleDecision) => decision.at.replace(/\.\d+Z$/, 'Z') },
      { title: 'revision', value: (decision) => decision.revision },
      { title: 'machines', value: ({ from, to }) => `${from} → ${to}` },
      { title: 'why', value: (decision) => decision.reason },
      { title: 'outcome', value: (decision) => decision.outcome ?? '-' },
    ],
    decisions,
    session.style,
  );
}

/** Milliseconds as they are written in a manifest. */
function duration(ms: number): string {
  const units = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
  ] as const;
  const [unit, size] = units.find(([, size]) => ms > 0 && ms % size === 0) ?? ['ms', 1];
  return `${ms / size}${unit}`;
}
