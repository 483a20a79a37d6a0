import { paint, renderBytes, renderTable, type MachineSample, type Style } from '#client';

import type { Session } from './session.ts';

export interface StatsOptions {
  follow?: boolean;
  since?: string;
  tail: number;
}

/** What a machine used: what is kept, and with --follow each sample as it comes. */
export async function machineStats(session: Session, id: string, options: StatsOptions): Promise<number> {
  const { client, style, surroundings } = session;
  const asked = { since: options.since, limit: options.tail };
  if (!options.follow) {
    const { items } = await client.machineStats(id, asked);
    if (session.json) session.printJson({ items });
    else if (items.length === 0)
      session.print('There is no sample yet; one is taken every few seconds while it runs.');
    else for (const sample of items) session.print(renderSample(sample, style));
    return 0;
  }
  const { signal } = surroundings;
  try {
    for await (const sample of client.followMachineStats(id, { ...asked, signal }))
      session.print(session.json ? JSON.stringify(sample) : renderSample(sample, style));
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  return 0;
}

export function renderSample(sample: MachineSample, style: Style): string {
  const time = sample.at.replace(/^.*T/, '').replace(/\.\d+Z$/, '');
  const cores = sample.cpu === null ? '-' : sample.cpu.toFixed(2);
  const share = Math.round((sample.memoryBytes / sample.memoryLimitBytes) * 100);
  return [
    paint(time, 'dim', style),
    `${cores.padStart(5)} cores`,
    `${renderBytes(sample.memoryBytes).padStart(9)} of ${renderBytes(sample.memoryLimitBytes)}`,
    paint(`${share} %`.padStart(5), share >= 90 ? 'red' : 'dim', style),
    `${String(sample.processes).padStart(3)} processes`,
  ].join('  ');
}

/** What the host may give to machines, and what is given. */
export async function capacity(session: Session): Promise<number> {
  const found = await session.client.getCapacity();
  const cores = (value: number): string => String(Math.round(value * 100) / 100);
  const rows = [
    { name: 'memory', of: found.memoryBytes, say: renderBytes },
    { name: 'cores', of: found.cpu, say: cores },
    { name: 'machines', of: found.machines, say: String },
    { name: 'disk', of: found.diskBytes, say: renderBytes },
  ];
  if (session.json) session.printJson(found);
  else
    session.print(
      renderTable(
        [
          { title: 'what', value: (row: (typeof rows)[number]) => row.name },
          { title: 'taken', value: ({ of, say }) => say(of.used), align: 'right' },
          { title: 'free', value: ({ of, say }) => say(Math.max(0, of.total - of.used)), align: 'right' },
          { title: 'in all', value: ({ of, say }) => say(of.total), align: 'right' },
        ],
        rows,
        session.style,
      ),
    );
  return 0;
}
