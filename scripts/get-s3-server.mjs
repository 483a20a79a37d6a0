import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

// Builds versitygw, the S3 server of the tests, from the Go module proxy, and puts it at .tools/versitygw: with the Go of this
// machine, or where there is none with the one of the image cestx/go:1.

const run = promisify(execFile);
const module = 'github.com/versity/versitygw/cmd/versitygw@v1.8.0';
const target = fileURLToPath(new URL('../.tools/versitygw', import.meta.url));
const works = () =>
  run(target, ['--version']).then(
    () => true,
    () => false,
  );

const settings = { GOFLAGS: '-ldflags=-s -modcacherw', CGO_ENABLED: '0' };
const certificates = '/etc/ssl/certs/ca-certificates.crt';

/** Answers how to install the module into a folder. */
async function findGo() {
  for (const go of ['go', '/usr/local/go/bin/go']) {
    const found = await run(go, ['version']).then(
      () => true,
      () => false,
    );
    if (found) {
      return (folder) =>
        run(go, ['install', module], {
          env: { ...process.env, ...settings, GOBIN: folder },
          timeout: 600_000,
        });
    }
  }
  return (folder) =>
    run(
      'docker',
      // prettier-ignore
      [
        'run', '--rm', '--user', '0',
        '--volume', `${folder}:/out`,
        '--volume', `${certificates}:${certificates}:ro`,
        '--env', `GOFLAGS=${settings.GOFLAGS}`, '--env', `CGO_ENABLED=${settings.CGO_ENABLED}`, '--env', 'GOBIN=/out',
        'cestx/go:1', 'go', 'install', module,
      ],
      { timeout: 600_000 },
    );
}

if (!(await works())) {
  const folder = await mkdtemp(join(tmpdir(), 'cestx-s3-server-'));
  try {
    await (
      await findGo()
    )(folder);
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
