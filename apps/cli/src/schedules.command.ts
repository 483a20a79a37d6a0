import { renderTable } from '#client';

import type { Session } from './session.ts';

/** The next five times a schedule is due: by the clock of its time zone (of this computer, when none is named) and in UTC. */
export async function previewSchedule(
  session: Session,
  schedule: string,
  options: { timezone?: string },
): Promise<number> {
  const { items } = await session.client.previewSchedule(schedule, options.timezone);
  if (session.json) session.printJson({ items });
  else if (items.length === 0) session.print('It is never due.');
  else {
    const zone = options.timezone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
    const columns = [
      { title: zone, value: (time: string) => clockIn(zone, time) },
      { title: 'utc', value: (time: string) => time.replace(/\.000Z$/, 'Z') },
    ];
    session.print(renderTable(columns, items, session.style));
  }
  return 0;
}

/** `Sun 2026-03-29 03:00:00 GMT+2` */
function clockIn(timeZone: string, time: string): string {
  const parts = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    weekday: 'short',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
    timeZoneName: 'shortOffset',
  }).formatToParts(new Date(time));
  const of = (type: Intl.DateTimeFormatPartTypes): string =>
    parts.find((part) => part.type === type)?.value ?? '';
  const day = `${of('weekday')} ${of('year')}-${of('month')}-${of('day')}`;
  return `${day} ${of('hour')}:${of('minute')}:${of('second')} ${of('timeZoneName')}`;
}
