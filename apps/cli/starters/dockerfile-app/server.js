import { createServer } from 'node:http';

import { app } from './app.js';

const port = Number(process.env.PORT ?? 8080);
const server = createServer(app).listen(port, () => console.log(`listening on ${port}`));

// Calls that are being answered are finished before the program ends.
process.once('SIGTERM', () => server.close());
