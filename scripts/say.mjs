/** Progress goes to stderr: stdout belongs to whatever the caller runs (`npm run demo -- --json` prints one object there). */
export function say(line) {
  process.stderr.write(`${line}\n`);
}

/** An error whose message is the whole story; shown as it is, without a stack. */
export class PlainError extends Error {
  name = 'PlainError';
}

export function fail(error) {
  if (error instanceof PlainError) say(`cestx: ${error.message}`);
  else say(`cestx: ${plainSystemError(error) ?? error?.stack ?? String(error)}`);
  process.exitCode = 1;
}

/** The sentence for the failures of a machine that people meet: folder not writable, disk full. */
export function plainSystemError(error) {
  const where = error?.path ? ` (${error.path})` : '';
  switch (error?.code) {
    case 'EROFS':
    case 'EACCES':
    case 'EPERM':
      return `cannot write here${where}: the folder is read-only for you. Move the checkout to a folder of your own, or run as its owner.`;
    case 'ENOSPC':
    case 'EDQUOT':
      return `no space left on the disk${where}. CestX needs about 1 GB for its tools and packages.`;
    default:
      return undefined;
  }
}
