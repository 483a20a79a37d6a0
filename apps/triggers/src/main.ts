import { runRoom } from '#boot';

import { triggersRoom } from './triggers.module.ts';

await runRoom(triggersRoom);
