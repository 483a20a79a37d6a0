import { runProgram } from './program.ts';

const interrupted = new AbortController();
process.once('SIGINT', () => {
  interrupted.abort();
  // A second Ctrl-C ends it at once.
  process.once('SIGINT', () => process.exit(1));
});
// So that whatever is to go with us is ended.
process.once('SIGTERM', () => process.exit(143));
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // The reader (`head`, a closed pager) has had enough.
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

process.exitCode = await runProgram(process.argv.slice(2), {
  environment: process.env,
  folder: process.cwd(),
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  signal: interrupted.signal,
});
