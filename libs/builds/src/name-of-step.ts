/** What a command is called in a message: `npm ci`, `pip install`, `go build`, without options or how it is run. */
export function nameOfStep(argv: readonly string[]): string {
  const words = unwrapped(argv).filter((word) => !word.startsWith('-'));
  const program = words[0]?.split('/').at(-1) ?? 'the build';
  const named = words
    .slice(1)
    .filter((word) => /^[a-z][\w:.-]*$/.test(word) && !/\.(txt|toml|py|go)$/.test(word));
  return [program, ...named.slice(0, named[0] === 'run' ? 2 : 1)].join(' ');
}

/** `env CI=true npm exec --package=pnpm@9 -- pnpm install` is pnpm; `.venv/bin/python -m pip` is pip. */
function unwrapped(argv: readonly string[]): readonly string[] {
  const [program, ...rest] = argv;
  if (program === 'env') return unwrapped(rest.slice(rest.findIndex((word) => !word.includes('='))));
  if (program === '/bin/sh' && rest[0] === '-c') {
    const parts = (rest[1] ?? '').split(' || ').map((part) => part.split(' '));
    return unwrapped(parts.find((words) => words.includes('pip')) ?? parts[0] ?? []);
  }
  if (program === 'npm' && rest[0] === 'exec') return rest.slice(rest.indexOf('--') + 1);
  if (/(^|\/)python3?$/.test(program ?? '') && rest[0] === '-m') return rest.slice(1);
  return argv;
}
