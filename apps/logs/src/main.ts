import { runRoom } from '#boot';

import { logsRoom } from './logs.module.ts';

await runRoom(logsRoom);
