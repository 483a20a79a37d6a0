import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

// Builds versitygw, the S3 server of the tests, from the Go module proxy, and puts it at .tools/versitygw.

const run = promisify(execFile);
const module = 'github.com/versity/versitygw/cmd/versitygw@v1.8.0';
const target = fileURLToPath(new URL('../.tools/versitygw', import.meta.url));
const works = () =>
  run(target, ['--version']).then(
    () => true,
    () => false,
  );

if (!(await works())) {
  const folder = await mkdtemp(join(tmpdir(), 'cestx-s3-server-'));
  try {
    const env = { ...process.env, GOBIN: folder, GOFLAGS: '-ldflags=-s -modcacherw', CGO_ENABLED: '0' };
    await run('go', ['install', module], { env, timeout: 600_000 });
    // Renamed into place, so that nobody ever sees half a program.
    await copyFile(join(folder, 'versitygw'), `${target}.${process.pid}`);
    await rename(`${target}.${process.pid}`, target);
  } catch (error) {
    console.error(
      `The S3 server of the tests could not be built: ${String(error.stderr || error.message).trim()}`,
    );
    process.exitCode = 1;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
