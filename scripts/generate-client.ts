import { writeFile } from 'node:fs/promises';

import { format, resolveConfig } from 'prettier';

import { openapiDocument } from '../apps/gateway/src/control/openapi.ts';
import { renderClient } from '../apps/gateway/src/control/render-client.ts';

const path = new URL('../libs/client/src/generated.ts', import.meta.url).pathname;
const text = await format(renderClient(openapiDocument()), {
  ...(await resolveConfig(path)),
  filepath: path,
});
await writeFile(path, text);
