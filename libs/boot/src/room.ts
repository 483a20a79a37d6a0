import type { Type } from '@nestjs/common';
import type { z } from 'zod';

import type { Room } from '#contracts';
import type { DatabaseOptions } from '#storage';

/** Injection token of the room's parsed configuration. */
export const ROOM_CONFIG = Symbol('ROOM_CONFIG');

/** Everything that makes a room: its Nest module, the environment it reads, its tables. */
export interface RoomDefinition<C extends z.ZodObject = z.ZodObject> {
  name: Room;
  module: Type;
  config: C;
  entities: DatabaseOptions['entities'];
  migrations: DatabaseOptions['migrations'];
}

export function defineRoom<C extends z.ZodObject>(definition: RoomDefinition<C>): RoomDefinition<C> {
  return definition;
}
