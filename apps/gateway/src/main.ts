import { runRoom } from '#boot';

import { gatewayRoom } from './gateway.module.ts';

await runRoom(gatewayRoom);
