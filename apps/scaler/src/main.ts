import { runRoom } from '#boot';

import { scalerRoom } from './scaler.module.ts';

await runRoom(scalerRoom);
