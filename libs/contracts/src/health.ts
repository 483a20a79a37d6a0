import { z } from 'zod';

import { query, rooms, type Room } from './message.ts';

export const healthSchema = z.object({
  room: z.enum(rooms),
  ready: z.boolean(),
  checks: z.array(z.object({ name: z.string(), ok: z.boolean(), detail: z.string().optional() })),
});
export type Health = z.output<typeof healthSchema>;

/** Each room's own answer to "can you work?", about its broker connection and its database. */
export function getHealth(room: Room) {
  return query(room, 'GetHealth', z.object({}), healthSchema);
}
