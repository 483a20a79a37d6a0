import { runRoom } from '#boot';

import { deploymentsRoom } from './deployments.module.ts';

await runRoom(deploymentsRoom);
