import { runRoom } from '#boot';

import { routesRoom } from './routes.module.ts';

await runRoom(routesRoom);
