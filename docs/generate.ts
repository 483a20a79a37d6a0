import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { describeErrors, describeMessages } from './describe-contracts.ts';

await writeFile(join(import.meta.dirname, 'messages.md'), describeMessages());
await writeFile(join(import.meta.dirname, 'errors.md'), describeErrors());
