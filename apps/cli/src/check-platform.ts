import type { Client } from '#client';

import type { Finding } from './check-surroundings.ts';
import { explainError } from './explain-error.ts';
import type { FoundKey } from './find-key.ts';

/** The gateway and, behind it, every room. */
export async function checkPlatform(client: Client, url: string): Promise<Finding[]> {
  try {
    const health = await client.health();
    const rooms = health.rooms.map((room): Finding => {
      const wrong = room.checks.filter((check) => !check.ok);
      const said = (wrong.length > 0 ? wrong : room.checks).map((check) =>
        check.detail ? `${check.name}: ${check.detail}` : check.name,
      );
      if (room.ready) return { name: `room ${room.room}`, state: 'ok', detail: said.join(', ') || 'ready' };
      return {
        name: `room ${room.room}`,
        state: 'failed',
        detail: said.join(', ') || 'not ready',
        help: 'It comes back by itself when what it names is back; its log says more.',
      };
    });
    return [{ name: 'gateway', state: 'ok', detail: url }, ...rooms];
  } catch (error) {
    const { message, help } = explainError(error);
    return [{ name: 'gateway', state: 'failed', detail: message, ...(help ? { help } : {}) }];
  }
}

export async function checkKey(client: Client, found: FoundKey | null): Promise<Finding> {
  if (!found) {
    return {
      name: 'key',
      state: 'failed',
      detail: 'there is none',
      help: 'Set CESTX_KEY, or run this where the data folder `.cestx` lies, or name that folder with CESTX_DATA.',
    };
  }
  try {
    await client.listFunctions({ limit: 1 });
    return { name: 'key', state: 'ok', detail: `accepted (from ${found.from})` };
  } catch (error) {
    const { code, message } = explainError(error);
    if (code !== 'unauthenticated') {
      return { name: 'key', state: 'warning', detail: `from ${found.from}, not tried: ${message}` };
    }
    return {
      name: 'key',
      state: 'failed',
      detail: `the one from ${found.from} is refused`,
      help: 'It belongs to another platform; take the one in the admin-key file of this one.',
    };
  }
}

/** What functions run on, and why. */
export async function checkDriver(client: Client): Promise<Finding[]> {
  const choice = await client.getDriver().catch(() => null);
  if (!choice) return [];
  const detail = `${choice.driver}: ${choice.reason}`;
  if (!choice.warning) return [{ name: 'driver', state: 'ok', detail }];
  return [{ name: 'driver', state: 'warning', detail, help: choice.warning }];
}
