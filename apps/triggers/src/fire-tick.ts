import { callSubject } from '#contracts';
import { natsHeadersOf } from '#events';
import type { Transaction } from '#storage';

import type { TriggerRow } from './trigger.entity.ts';

/** The event a function gets from a schedule: when it was due, and by which schedule. */
export async function fireTick(tx: Transaction, row: TriggerRow, tick: Date): Promise<void> {
  const { project, function: name, id, settings } = row;
  if (settings.kind !== 'schedule') return;
  const time = tick.toISOString();
  const data = { schedule: settings.schedule, timezone: settings.timezone, scheduledFor: time };
  await tx.publish(callSubject(project, name, 'tick', id), JSON.stringify(data), {
    messageId: `tick/${project}/${name}/${id}/${time}`,
    headers: {
      ...natsHeadersOf({
        attributes: {
          specversion: '1.0',
          id: `${id}-${tick.getTime()}`,
          source: `/projects/${project}/functions/${name}/schedules/${id}`,
          type: 'cestx.schedule.tick',
          time,
          datacontenttype: 'application/json',
        },
        data: null,
      }),
    },
  });
}
