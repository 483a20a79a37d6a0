import { runRoom } from '#boot';

import { templatesRoom } from './templates.module.ts';

await runRoom(templatesRoom);
