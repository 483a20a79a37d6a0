import { runRoom } from '#boot';

import { machinesRoom } from './machines.module.ts';

await runRoom(machinesRoom);
